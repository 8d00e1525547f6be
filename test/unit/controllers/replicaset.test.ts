/** The ReplicaSet controller against an API server. */
import assert from 'node:assert/strict';
import type { Pod, ReplicaSet } from '#types';
import { pods, replicaSets, serviceAccounts } from '../../../src/api/resources/index.js';
import { startReplicaSetController } from '../../../src/controllers/replicaset/index.js';
import { Harness, podSpec, podTemplate } from './harness.js';

describe('ReplicaSet controller', function () {
  this.timeout(10_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startReplicaSetController);
  });
  afterEach(() => h.close());

  const create = (replicas: number, spec: Partial<ReplicaSet['spec']> = {}) =>
    h.client.of(replicaSets).create({
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: 'web', namespace: 'default' },
      spec: { replicas, selector: { matchLabels: { app: 'web' } }, template: podTemplate('web'), ...spec },
    });
  const status = async () => (await h.client.of(replicaSets).get('default', 'web')).status;
  const orphan = (name: string, labels: Record<string, string>): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: podSpec(),
  });
  const count = (n: number) =>
    h.until(`${n} pods`, async () => {
      const all = await h.list(pods);
      return all.length === n && all;
    });

  it('creates as many pods as asked for, and no more, with what the template and the owner give', async () => {
    const rs = await create(7);
    const all = await count(7);
    await h.settle();
    assert.equal((await h.list(pods)).length, 7);
    for (const { metadata } of all) {
      assert.match(metadata.name, /^web-[a-z0-9]{5}$/);
      assert.deepEqual(metadata.labels, { app: 'web' });
      assert.deepEqual(metadata.ownerReferences, [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: 'web',
          uid: rs.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ]);
    }
    const events = await h.until('seven events', async () => {
      const found = await h.events('ReplicaSet');
      return found.length === 7 && found;
    });
    assert.ok(events.includes(`SuccessfulCreate: Created pod: ${all[0]!.metadata.name}`));
  });

  it('counts pods in its status, and leaves zeros out', async () => {
    await create(2);
    const [first] = await count(2);
    await h.until('2 replicas', async () => (await status())?.replicas === 2);
    await h.setReady(first!);
    await h.until('one ready', async () => (await status())?.readyReplicas === 1);
    assert.deepEqual(await status(), {
      replicas: 2,
      fullyLabeledReplicas: 2,
      readyReplicas: 1,
      availableReplicas: 1,
      terminatingReplicas: 0,
      observedGeneration: 1,
    });
  });

  it('counts a pod as available only after minReadySeconds', async () => {
    await create(1, { minReadySeconds: 60 });
    const [pod] = await count(1);
    await h.setReady(pod!);
    await h.until('ready', async () => (await status())?.readyReplicas === 1);
    assert.equal((await status())?.availableReplicas, undefined);
    h.clock.advance(61_000);
    await h.until('available', async () => (await status())?.availableReplicas === 1);
  });

  it('replaces a deleted and a failed pod', async () => {
    await create(2);
    const [a, b] = await count(2);
    await h.client.of(pods).delete('default', a!.metadata.name);
    await h.client
      .of(pods)
      .patch(
        'default',
        b!.metadata.name,
        { status: { phase: 'Failed' } },
        { type: 'merge', subresource: 'status' },
      );
    await h.until('two new pods', async () => {
      const fresh = (await h.list(pods)).filter(
        ({ metadata, status: s }) => s?.phase !== 'Failed' && metadata.name !== a!.metadata.name,
      );
      return fresh.length === 2;
    });
  });

  it('scales down by taking what is not ready first', async () => {
    await create(3);
    const all = await count(3);
    await h.setReady(all[1]!);
    await h.until('one ready', async () => (await status())?.readyReplicas === 1);
    await h.client.of(replicaSets).patch('default', 'web', { spec: { replicas: 1 } }, { type: 'merge' });
    await h.until('one left', async () => {
      const left = (await h.list(pods)).filter(({ metadata }) => !metadata.deletionTimestamp);
      return left.length === 1 && left[0]!.metadata.name === all[1]!.metadata.name;
    });
  });

  it('adopts matching orphans and releases pods that no longer match', async () => {
    await h.client.of(pods).create(orphan('stray', { app: 'web' }));
    await h.client.of(pods).create(orphan('other', { app: 'other' }));
    const rs = await create(1);
    const adopted = await h.until('adoption', async () => {
      const pod = await h.client.of(pods).get('default', 'stray');
      return pod.metadata.ownerReferences && pod;
    });
    assert.equal(adopted.metadata.ownerReferences?.[0]?.uid, rs.metadata.uid);
    await h.settle();
    assert.equal((await h.list(pods)).length, 2, 'the stray pod counts; none is created');

    const patch = { metadata: { labels: { app: 'debug' } } };
    await h.client.of(pods).patch('default', 'stray', patch, { type: 'merge' });
    await count(3);
    const released = await h.client.of(pods).get('default', 'stray');
    assert.equal(released.metadata.ownerReferences, undefined);
  });

  it('tells in a condition when pods cannot be created, and takes it back', async () => {
    await h.client.of(serviceAccounts).delete('default', 'default');
    await create(1);
    const failure = await h.until('a condition', async () => (await status())?.conditions?.[0]);
    assert.deepEqual(
      [failure.type, failure.status, failure.reason],
      ['ReplicaFailure', 'True', 'FailedCreate'],
    );
    const why = /^pods "web-.*" is forbidden: error looking up service account default\/default/;
    assert.match(failure.message ?? '', why);
    const events = await h.until('an event', async () => {
      const found = await h.events('ReplicaSet');
      return found.length > 0 && found;
    });
    assert.match(events[0]!, /^FailedCreate: Error creating: pods "web-/);

    await h.createServiceAccount();
    h.clock.advance(600_000);
    await count(1);
    await h.until('no condition', async () => (await status())?.conditions === undefined);
  });
});
