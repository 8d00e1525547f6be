/** The DaemonSet controller, with the scheduler, against an API server. */
import assert from 'node:assert/strict';
import type { DaemonSet } from '#types';
import { controllerRevisions, daemonSets, nodes, pods } from '../../../src/api/resources/index.js';
import { startDaemonSetController } from '../../../src/controllers/daemonset/index.js';
import { startScheduler } from '../../../src/scheduler/index.js';
import { Harness, podTemplate } from './harness.js';

describe('DaemonSet controller', function () {
  this.timeout(10_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startDaemonSetController, (options) =>
      startScheduler({ ...options, random: () => 0 }),
    );
  });
  afterEach(() => h.close());

  const create = (spec: Partial<DaemonSet['spec']> = {}) =>
    h.client.of(daemonSets).create({
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'd', namespace: 'default' },
      spec: { selector: { matchLabels: { app: 'd' } }, template: podTemplate('d'), ...spec },
    });
  const get = () => h.client.of(daemonSets).get('default', 'd');
  const patch = (spec: object) =>
    h.client.of(daemonSets).patch('default', 'd', { spec }, { type: 'strategic' });
  const image = (name: string) => ({ template: { spec: { containers: [{ name: 'web', image: name }] } } });
  const placed = async () =>
    (await h.list(pods))
      .map(({ spec }) => spec.nodeName ?? '')
      .sort()
      .join(' ');
  const on = (names: string) => h.until(`pods on ${names}`, async () => (await placed()) === names);
  /** Lets kubelets work until the whole set runs the image. */
  const rolled = (to: string) =>
    h.until(`${to} everywhere`, async () => {
      await h.kubelet();
      const all = await h.list(pods);
      const { status } = await get();
      return (
        all.length === status?.desiredNumberScheduled &&
        all.every(({ spec }) => spec.containers[0]!.image === to) &&
        status.numberAvailable === all.length &&
        all
      );
    });
  const revisions = async () =>
    (await h.list(controllerRevisions))
      .map(({ revision }) => revision)
      .sort()
      .join(' ');

  it('puts a pod on every node, also on one that comes later, and on cordoned ones', async () => {
    await h.createNode('a');
    await h.createNode('b', { unschedulable: true });
    await create();
    await on('a b');
    await h.createNode('c');
    await on('a b c');
    await h.kubelet();
    const { status } = await h.until('the status', async () => {
      const set = await get();
      return set.status?.numberReady === 3 && set;
    });
    assert.equal(status!.desiredNumberScheduled, 3);
    assert.equal(status!.updatedNumberScheduled, 3);
    const [event] = await h.events('DaemonSet');
    assert.match(event!, /^SuccessfulCreate: Created pod: d-[a-z0-9]{5}$/);
  });

  it('follows the labels and taints of nodes', async () => {
    const template = podTemplate('d');
    template.spec!.nodeSelector = { ssd: 'true' };
    await h.createNode('a');
    await h.createNode('b', {}, { ssd: 'true' });
    await create({ template });
    await on('b');
    await h.client.of(nodes).patch('', 'a', { metadata: { labels: { ssd: 'true' } } }, { type: 'merge' });
    await on('a b');
    const gone = async () => (await h.list(pods)).filter(({ metadata }) => metadata.deletionTimestamp).length;
    await h.client.of(nodes).patch('', 'b', { metadata: { labels: { ssd: null } } }, { type: 'merge' });
    await h.until('one to go', async () => (await gone()) === 1);
  });

  it('replaces a pod that failed or is deleted', async () => {
    await h.createNode('a');
    await create();
    await on('a');
    const [first] = await h.list(pods);
    await h.client
      .of(pods)
      .patch(
        'default',
        first!.metadata.name,
        { status: { phase: 'Failed' } },
        { type: 'merge', subresource: 'status' },
      );
    await h.until('another', async () => {
      await h.kubelet((pod) => pod.metadata.uid === first!.metadata.uid);
      const all = await h.list(pods);
      return (
        all.length === 1 && all[0]!.metadata.uid !== first!.metadata.uid && all[0]!.spec.nodeName === 'a'
      );
    });
    assert.ok(
      (await h.events('DaemonSet')).some((event) => event.startsWith('FailedDaemonPod: Found failed')),
    );
  });

  it('does not wait for a pod that has ended and is held by a finalizer alone', async () => {
    await h.createNode('a');
    await create();
    await on('a');
    const [first] = await h.list(pods);
    const { name } = first!.metadata;
    const held = { metadata: { finalizers: ['example.com/hold'] } };
    await h.client.of(pods).patch('default', name, held, { type: 'merge' });
    const failed = { status: { phase: 'Failed' } };
    await h.client.of(pods).patch('default', name, failed, { type: 'merge', subresource: 'status' });
    await h.until('another pod', async () => (await placed()) === 'a a');
  });

  it('updates one node after the other, keeps revisions, and goes back', async () => {
    for (const name of ['a', 'b', 'c']) await h.createNode(name);
    await create({ revisionHistoryLimit: 1 });
    await rolled('web:1');
    await patch(image('web:2'));
    let fewest = 3;
    await h.until('the update', async () => {
      const all = await h.list(pods);
      fewest = Math.min(
        fewest,
        all.filter((p) => p.status?.phase === 'Running' && !p.metadata.deletionTimestamp).length,
      );
      await h.kubelet();
      return all.length === 3 && all.every(({ spec }) => spec.containers[0]!.image === 'web:2');
    });
    assert.ok(fewest >= 2, `only ${fewest} ran at a time`);
    await rolled('web:2');
    assert.equal(await revisions(), '1 2');
    await patch(image('web:1'));
    await rolled('web:1');
    assert.equal(await revisions(), '2 3');
    await patch(image('web:3'));
    await rolled('web:3');
    await h.until('the limit', async () => (await revisions()) === '3 4');
  });

  it('surges: the new pod is there before the old one goes', async () => {
    await h.createNode('a');
    await create({
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    });
    await rolled('web:1');
    await patch(image('web:2'));
    const both = await h.until('two pods', async () => {
      const all = await h.list(pods);
      return all.length === 2 && all;
    });
    assert.ok(both.every(({ metadata }) => metadata.deletionTimestamp === undefined));
    await rolled('web:2');
  });

  it('leaves old pods alone when they are updated on deletion', async () => {
    await h.createNode('a');
    await create({ updateStrategy: { type: 'OnDelete' } });
    await rolled('web:1');
    await patch(image('web:2'));
    await h.settle();
    const [old] = await h.list(pods);
    assert.equal(old!.spec.containers[0]!.image, 'web:1');
    await h.client.of(pods).delete('default', old!.metadata.name);
    await rolled('web:2');
  });
});
