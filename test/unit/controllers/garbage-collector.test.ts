/** The garbage collector against an API server. */
import assert from 'node:assert/strict';
import type { ConfigMap, OwnerReference } from '#types';
import type { KubeObject } from '../../../src/api/machinery/types.js';
import { configMaps, namespaces, nodes } from '../../../src/api/resources/index.js';
import { startGarbageCollector } from '../../../src/controllers/garbage-collector/index.js';
import { Harness } from './harness.js';

describe('garbage collector', function () {
  this.timeout(10_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startGarbageCollector);
  });
  afterEach(() => h.close());

  const ref = (owner: KubeObject, change: Partial<OwnerReference> = {}): OwnerReference => ({
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? '',
    ...change,
  });
  const create = (
    name: string,
    ownerReferences?: OwnerReference[],
    namespace = 'default',
    finalizers?: string[],
  ) =>
    h.client.of(configMaps).create({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name,
        namespace,
        ...(ownerReferences && { ownerReferences }),
        ...(finalizers && { finalizers }),
      },
    });
  const find = (name: string, namespace = 'default') => h.find(configMaps, namespace, name);
  const gone = (name: string, namespace?: string) =>
    h.until(`${name} to go`, async () => !(await find(name, namespace)));
  const unblock = (name: string) =>
    h.client.of(configMaps).patch('default', name, { metadata: { finalizers: null } }, { type: 'merge' });
  const names = async () => (await h.list(configMaps)).map(({ metadata }) => metadata.name).sort();

  it('deletes dependents, and theirs, after their owner', async () => {
    const owner = await create('owner');
    const child = await create('child', [ref(owner)]);
    await create('grandchild', [ref(child)]);
    await create('stranger');
    await h.client.of(configMaps).delete('default', 'owner', { propagationPolicy: 'Background' });
    await gone('grandchild');
    assert.deepEqual(await names(), ['stranger']);
  });

  it('deletes what names an owner that never was', async () => {
    const ghost = ref({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'ghost', uid: 'no-such-uid' },
    });
    await create('child', [ghost]);
    await gone('child');
  });

  it('does not take a new owner of the same name for the old one', async () => {
    const owner = await create('owner');
    await create('child', [ref(owner, { uid: 'the-uid-of-the-owner-before' })]);
    await gone('child');
    assert.ok(await find('owner'));
  });

  it('keeps a dependent that has another owner, and takes the gone one from its references', async () => {
    const [a, b] = [await create('a'), await create('b')];
    await create('child', [ref(a), ref(b)]);
    await h.client.of(configMaps).delete('default', 'a');
    const child = await h.until('one owner', async () => {
      const found = await find('child');
      return found?.metadata.ownerReferences?.length === 1 && found;
    });
    assert.equal(child.metadata.ownerReferences?.[0]?.name, 'b');
  });

  it('Foreground: the owner stays until blocking dependents are gone', async () => {
    const owner = await create('owner');
    await create('blocking', [ref(owner, { blockOwnerDeletion: true })], 'default', ['example.com/hold']);
    await create('other', [ref(owner)], 'default', ['example.com/hold']);
    await h.client.of(configMaps).delete('default', 'owner', { propagationPolicy: 'Foreground' });
    await h.until('deletion of the dependents', async () => {
      const both = [await find('blocking'), await find('other')];
      return both.every((map) => map?.metadata.deletionTimestamp);
    });
    await h.settle();
    assert.deepEqual((await find('owner'))?.metadata.finalizers, ['foregroundDeletion']);
    await unblock('blocking');
    await gone('owner');
    assert.deepEqual(await names(), ['other']);
  });

  it('Foreground: goes down the tree before it comes up', async () => {
    const owner = await create('owner');
    const child = await create('child', [ref(owner, { blockOwnerDeletion: true })]);
    await create('grandchild', [ref(child, { blockOwnerDeletion: true })], 'default', ['example.com/hold']);
    await h.client.of(configMaps).delete('default', 'owner', { propagationPolicy: 'Foreground' });
    await h.until(
      'deletion of the grandchild',
      async () => (await find('grandchild'))?.metadata.deletionTimestamp,
    );
    await h.settle();
    assert.deepEqual(await names(), ['child', 'grandchild', 'owner']);
    await unblock('grandchild');
    await gone('owner');
    assert.deepEqual(await names(), []);
  });

  it('Orphan: dependents stay without the reference', async () => {
    const owner = await create('owner');
    await create('child', [ref(owner)]);
    await h.client.of(configMaps).delete('default', 'owner', { propagationPolicy: 'Orphan' });
    await gone('owner');
    await h.settle();
    const child = (await find('child')) as ConfigMap;
    assert.deepEqual(child.metadata.ownerReferences ?? [], []);
  });

  it('follows cluster-scoped owners into namespaces', async () => {
    const node = await h.createNode('a');
    await create('of-node', [ref(node)]);
    await h.settle();
    assert.ok(await find('of-node'));
    await h.client.of(nodes).delete('', 'a');
    await gone('of-node');
  });

  it('looks for a namespaced owner in the namespace of the dependent only', async () => {
    await h.client
      .of(namespaces)
      .create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' }, spec: {} });
    const owner = await create('owner');
    await create('child', [ref(owner)], 'other');
    await gone('child', 'other');
    assert.ok(await find('owner'));
  });

  it('leaves alone what is owned by a kind that is not served', async () => {
    await create('child', [{ apiVersion: 'example.com/v1', kind: 'Gadget', name: 'g', uid: 'g' }]);
    await h.settle();
    assert.ok(await find('child'));
  });
});
