/** The StatefulSet controller against an API server. */
import assert from 'node:assert/strict';
import type { Pod, StatefulSet } from '#types';
import { controllerRevisions, pods, statefulSets } from '../../../src/api/resources/index.js';
import { startStatefulSetController } from '../../../src/controllers/statefulset/index.js';
import { Harness, podSpec, podTemplate } from './harness.js';

describe('StatefulSet controller', function () {
  this.timeout(10_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startStatefulSetController);
  });
  afterEach(() => h.close());

  const create = (replicas: number, spec: Partial<StatefulSet['spec']> = {}) =>
    h.client.of(statefulSets).create({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas,
        serviceName: 'svc',
        selector: { matchLabels: { app: 'web' } },
        template: podTemplate('web'),
        ...spec,
      },
    });
  const get = () => h.client.of(statefulSets).get('default', 'web');
  const patch = (spec: object) =>
    h.client.of(statefulSets).patch('default', 'web', { spec }, { type: 'strategic' });
  const image = (name: string) => ({ template: { spec: { containers: [{ name: 'web', image: name }] } } });
  const state = async () =>
    (await h.list(pods))
      .map(({ metadata, spec }) => `${metadata.name}=${spec.containers[0]!.image}`)
      .join(' ');
  const becomes = (expected: string, fails?: (pod: Pod) => boolean) =>
    h.until(expected, async () => {
      await h.kubelet(fails);
      return (await state()) === expected;
    });

  it('creates one after the other, with names and labels', async () => {
    await create(2);
    await h.until('the first', async () => (await state()) === 'web-0=web:1');
    await h.settle();
    assert.equal(await state(), 'web-0=web:1', 'the second waits');
    await becomes('web-0=web:1 web-1=web:1');
    const [, second] = await h.list(pods);
    const { status } = await h.until('the status', async () => {
      await h.kubelet();
      const set = await get();
      return set.status?.readyReplicas === 2 && set;
    });
    assert.equal(second!.metadata.labels?.['controller-revision-hash'], status!.updateRevision);
    assert.equal(second!.spec.hostname, 'web-1');
    assert.equal(second!.spec.subdomain, 'svc');
    const events = await h.until('two events', async () => {
      const found = await h.events('StatefulSet');
      return found.length === 2 && found;
    });
    assert.ok(events.includes('SuccessfulCreate: create Pod web-1 in StatefulSet web successful'));
  });

  it('creates and deletes in parallel when it may', async () => {
    await create(3, { podManagementPolicy: 'Parallel' });
    await h.until('three', async () => (await h.list(pods)).length === 3);
    await patch({ replicas: 0 });
    await becomes('');
  });

  it('scales down from the last and replaces what is deleted by its own name', async () => {
    await create(3);
    await becomes('web-0=web:1 web-1=web:1 web-2=web:1');
    await patch({ replicas: 2 });
    await becomes('web-0=web:1 web-1=web:1');
    const before = await h.client.of(pods).get('default', 'web-0');
    await h.client.of(pods).delete('default', 'web-0');
    await h.until('another web-0', async () => {
      await h.kubelet();
      const now = await h.find(pods, 'default', 'web-0');
      return now !== undefined && now.metadata.uid !== before.metadata.uid;
    });
  });

  it('updates down to the partition, then all, and goes back', async () => {
    await create(2);
    await becomes('web-0=web:1 web-1=web:1');
    await patch({ ...image('web:2'), updateStrategy: { rollingUpdate: { partition: 1 } } });
    await becomes('web-0=web:1 web-1=web:2');
    await h.settle();
    assert.equal(await state(), 'web-0=web:1 web-1=web:2');
    await h.client.of(pods).delete('default', 'web-0');
    await becomes('web-1=web:2');
    await becomes('web-0=web:1 web-1=web:2');
    await patch({ updateStrategy: { rollingUpdate: { partition: 0 } } });
    await becomes('web-0=web:2 web-1=web:2');
    await h.until('the end of the update', async () => {
      await h.kubelet();
      const { status } = await get();
      return status?.currentRevision === status?.updateRevision && status?.currentReplicas === 2;
    });
    await patch(image('web:1'));
    await becomes('web-0=web:1 web-1=web:1');
    const revisions = await h.list(controllerRevisions);
    assert.deepEqual(revisions.map(({ revision }) => revision).sort(), [2, 3]);
  });

  it('gets out of a broken update when the template is put right and the broken pod deleted', async () => {
    await create(1);
    await becomes('web-0=web:1');
    await patch(image('broken'));
    const fails = ({ spec }: Pod) => spec.containers[0]!.image === 'broken';
    await becomes('web-0=broken', fails);
    await patch(image('web:1'));
    await h.settle();
    assert.equal(await state(), 'web-0=broken', 'an ordered set waits for it');
    await h.client.of(pods).delete('default', 'web-0');
    await becomes('web-0=web:1', fails);
  });

  it('takes only pods of its names for its own', async () => {
    const orphan = (name: string): Pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels: { app: 'web' } },
      spec: podSpec(),
    });
    await h.client.of(pods).create(orphan('web-0'));
    await h.client.of(pods).create(orphan('stray'));
    await create(1);
    const adopted = await h.until('adoption', async () => {
      const pod = await h.client.of(pods).get('default', 'web-0');
      return pod.metadata.ownerReferences && pod;
    });
    assert.equal(adopted.metadata.ownerReferences?.[0]?.kind, 'StatefulSet');
    // It is of no known revision, so that the update may replace it meanwhile.
    await h.until('its labels', async () => {
      const { items } = await h.client
        .of(pods)
        .list({ namespace: 'default', fieldSelector: 'metadata.name=web-0' });
      return items[0]?.metadata.labels?.['apps.kubernetes.io/pod-index'] === '0';
    });
    assert.equal((await h.client.of(pods).get('default', 'stray')).metadata.ownerReferences, undefined);
  });
});
