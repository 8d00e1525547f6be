/** PodDisruptionBudgets: the arithmetic, the controller, and evictions within them. */
import assert from 'node:assert/strict';
import type { Pod, PodDisruptionBudget } from '#types';
import type { StatusError } from '../../../src/api/machinery/status.js';
import { podDisruptionBudgets, pods, replicationControllers } from '../../../src/api/resources/index.js';
import {
  budgetStatus,
  expectedPods,
  stillDisrupted,
} from '../../../src/controllers/disruption/arithmetic.js';
import { startDisruptionController } from '../../../src/controllers/disruption/index.js';
import { startReplicationController } from '../../../src/controllers/replicaset/index.js';
import { Harness, podSpec, podTemplate } from './harness.js';

const NOW = Date.UTC(2026, 0, 1);

const budget = (
  spec: PodDisruptionBudget['spec'],
  status?: PodDisruptionBudget['status'],
): PodDisruptionBudget =>
  ({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'b', namespace: 'default', generation: 3 },
    spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
    ...(status ? { status } : {}),
  }) as PodDisruptionBudget;

const pod = (name: string, ready = true): Pod =>
  ({
    metadata: { name },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }) as unknown as Pod;

describe('the arithmetic of disruption budgets', () => {
  const cases: [string, PodDisruptionBudget['spec'], number, number, number, number][] = [
    ['a number of pods', { minAvailable: 2 }, 5, 9, 5, 2],
    ['a share of the workloads', { minAvailable: '50%' }, 5, 9, 9, 5],
    ['a number that may be missing', { maxUnavailable: 2 }, 5, 9, 9, 7],
    ['a share that may be missing', { maxUnavailable: '30%' }, 5, 9, 9, 6],
    ['more than there are', { maxUnavailable: 20 }, 5, 9, 9, 0],
    ['nothing', {}, 5, 9, 5, 0],
  ];
  for (const [what, spec, podCount, scale, expected, healthy] of cases)
    it(what, () => {
      assert.deepEqual(expectedPods(budget(spec), podCount, scale), {
        expectedPods: expected,
        desiredHealthy: healthy,
      });
    });

  it('counts what is healthy, less what has been evicted just now', () => {
    const all = [pod('a'), pod('b'), pod('c', false), pod('d')];
    const status = budgetStatus(
      budget({ minAvailable: 1 }),
      all,
      { expectedPods: 4, desiredHealthy: 1 },
      { d: '2026-01-01T00:00:00Z' },
      NOW,
    );
    assert.deepEqual(status, {
      disruptedPods: { d: '2026-01-01T00:00:00Z' },
      disruptionsAllowed: 1,
      currentHealthy: 2,
      desiredHealthy: 1,
      expectedPods: 4,
      observedGeneration: 3,
      conditions: [
        {
          type: 'DisruptionAllowed',
          status: 'True',
          reason: 'SufficientPods',
          message: '',
          observedGeneration: 3,
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    });
  });

  it('stops counting an eviction that did not happen for two minutes', () => {
    const disruptedPods = {
      a: '2025-12-31T23:59:00Z',
      b: '2025-12-31T23:57:00Z',
      gone: '2026-01-01T00:00:00Z',
    };
    const status = {
      disruptedPods,
      currentHealthy: 0,
      desiredHealthy: 0,
      disruptionsAllowed: 0,
      expectedPods: 0,
    };
    const result = stillDisrupted(budget({}, status), [pod('a'), pod('b'), pod('c')], NOW);
    assert.deepEqual(result.kept, { a: '2025-12-31T23:59:00Z' });
    assert.deepEqual(
      result.overdue.map(({ metadata }) => metadata.name),
      ['b'],
    );
    assert.equal(result.recheck, 60_000);
  });
});

describe('disruption controller', function () {
  this.timeout(10_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start(startDisruptionController, startReplicationController);
  });
  afterEach(() => h.close());

  const start = async (spec: PodDisruptionBudget['spec'], replicas = 3) => {
    await h.client.of(replicationControllers).create({
      apiVersion: 'v1',
      kind: 'ReplicationController',
      metadata: { name: 'web', namespace: 'default' },
      spec: { replicas, template: podTemplate('web') },
    });
    await h.until('pods', async () => (await h.list(pods)).length === replicas);
    for (const one of await h.list(pods)) await h.setReady(one);
    await h.client.of(podDisruptionBudgets).create(budget(spec));
  };
  const status = async () => (await h.client.of(podDisruptionBudgets).get('default', 'b')).status;
  const allowed = (count: number) =>
    h.until(`${count} allowed`, async () => {
      const now = await status();
      return now?.observedGeneration !== undefined && now.disruptionsAllowed === count && now;
    });
  const evict = (name: string, deleteOptions = {}) =>
    h.client.of(pods).createSubresource('default', name, 'eviction', {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace: 'default' },
      deleteOptions,
    });
  const refused = (name: string, cause: RegExp) =>
    assert.rejects(evict(name), (error: StatusError) => {
      assert.equal(error.code, 429);
      assert.equal(error.message, "Cannot evict pod as it would violate the pod's disruption budget.");
      assert.equal(error.details?.causes?.[0]?.reason, 'DisruptionBudget');
      assert.match(error.details?.causes?.[0]?.message ?? '', cause);
      return true;
    });

  it('lets as many go as the workload can spare, and tells them why', async () => {
    await start({ maxUnavailable: 1 });
    const now = await allowed(1);
    assert.deepEqual([now.expectedPods, now.desiredHealthy, now.currentHealthy], [3, 2, 3]);
    const [first, second] = await h.list(pods);
    await evict(first!.metadata.name, { gracePeriodSeconds: 30 });
    const after = await h.find(pods, 'default', first!.metadata.name);
    if (after !== undefined)
      assert.equal(
        after.status?.conditions?.find((c) => c.type === 'DisruptionTarget')?.reason,
        'EvictionByEvictionAPI',
      );
    await refused(
      second!.metadata.name,
      /^The disruption budget b needs 2 healthy pods and has \d currently$/,
    );
    await h.until('a new pod', async () => {
      for (const one of await h.list(pods)) if (!one.status?.conditions?.length) await h.setReady(one);
      return (await status())?.disruptionsAllowed === 1;
    });
    await evict(second!.metadata.name);
  });

  it('follows the size of the workload', async () => {
    await start({ minAvailable: '50%' }, 2);
    await allowed(1);
    await h.client
      .of(replicationControllers)
      .patch('default', 'web', { spec: { replicas: 4 } }, { type: 'merge' });
    await h.until('four expected', async () => (await status())?.expectedPods === 4);
    await allowed(0);
  });

  it('tries without deleting, and without spending, in a dry run', async () => {
    await start({ minAvailable: 2 });
    await allowed(1);
    const [first] = await h.list(pods);
    await evict(first!.metadata.name, { dryRun: ['All'] });
    assert.equal(
      (await h.client.of(pods).get('default', first!.metadata.name)).metadata.deletionTimestamp,
      undefined,
    );
    assert.equal((await status())?.disruptionsAllowed, 1);
  });

  it('lets a pod that is not ready go as its policy says', async () => {
    await start({ minAvailable: 3 });
    await allowed(0);
    const [sick] = await h.list(pods);
    await h.setReady(sick!, false);
    await h.until('two healthy', async () => (await status())?.currentHealthy === 2);
    await refused(sick!.metadata.name, /needs 3 healthy pods and has 2 currently/);
    await h.client
      .of(podDisruptionBudgets)
      .patch('default', 'b', { spec: { unhealthyPodEvictionPolicy: 'AlwaysAllow' } }, { type: 'merge' });
    await evict(sick!.metadata.name);
  });

  it('refuses a pod of two budgets, and one that has not been looked at', async () => {
    await start({ minAvailable: 0 });
    await allowed(3);
    const [first] = await h.list(pods);
    const other = { ...budget({ minAvailable: 0 }), metadata: { name: 'other', namespace: 'default' } };
    await h.client.of(podDisruptionBudgets).create(other);
    await assert.rejects(evict(first!.metadata.name), (error: StatusError) => {
      assert.equal(error.code, 500);
      assert.match(error.message, /^This pod has more than one PodDisruptionBudget, which the eviction/);
      return true;
    });
  });

  it('says that it cannot count pods that nothing manages', async () => {
    await h.client.of(pods).create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'lonely', namespace: 'default', labels: { app: 'web' } },
      spec: podSpec(),
    });
    await h.client.of(podDisruptionBudgets).create(budget({ maxUnavailable: 1 }));
    const events = await h.until('an event', async () => {
      const found = await h.events('PodDisruptionBudget');
      return found.length > 0 && found;
    });
    assert.match(
      events[0]!,
      /^UnmanagedPods: Pods selected by this PodDisruptionBudget \(selector: app=web\)/,
    );
    assert.equal((await allowed(0)).expectedPods, 0);
  });

  it('keeps the pods of a ReplicationController as those of a ReplicaSet, and counts what its status has', async () => {
    await start({ minAvailable: 1 }, 1);
    const rc = await h.until('its status', async () => {
      const found = await h.client.of(replicationControllers).get('default', 'web');
      return found.status?.readyReplicas === 1 && found;
    });
    assert.deepEqual(rc.status, {
      replicas: 1,
      fullyLabeledReplicas: 1,
      readyReplicas: 1,
      availableReplicas: 1,
      observedGeneration: 1,
    });
  });
});
