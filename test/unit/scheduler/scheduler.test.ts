/** The running scheduler against an API server. */
import assert from 'node:assert/strict';
import type { Pod } from '#types';
import { nodes, pods, priorityClasses } from '../../../src/api/resources/index.js';
import { startScheduler } from '../../../src/scheduler/index.js';
import { Harness, podSpec } from '../controllers/harness.js';

describe('scheduler', function () {
  this.timeout(10_000);
  let h: Harness;
  beforeEach(async () => {
    h = await Harness.start((options) => startScheduler({ ...options, random: () => 0 }));
  });
  afterEach(() => h.close());

  const create = (name: string, spec: Partial<Pod['spec']> = {}, cpu?: string) => {
    const [container] = podSpec().containers;
    const containers = [{ ...container!, ...(cpu && { resources: { requests: { cpu } } }) }];
    return h.client.of(pods).create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { containers, ...spec },
    });
  };
  const get = (name: string) => h.client.of(pods).get('default', name);
  const bound = (name: string) => h.until(`${name} to be bound`, async () => (await get(name)).spec.nodeName);
  const condition = (pod: Pod) => pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
  const unschedulable = (name: string) =>
    h.until(`${name} to be unschedulable`, async () => {
      const found = condition(await get(name));
      return found?.reason === 'Unschedulable' && found;
    });

  it('binds a pod and tells of it', async () => {
    await h.createNode('a');
    await create('p');
    assert.equal(await bound('p'), 'a');
    const [event] = await h.until('the event', async () => {
      const found = await h.events('Pod');
      return found.length > 0 && found;
    });
    assert.equal(event, 'Scheduled: Successfully assigned default/p to a');
    assert.equal(condition(await get('p'))?.status, 'True');
  });

  it('counts pods that it has assumed: many at once do not overfill a node', async () => {
    await h.createNode('a');
    await Promise.all(Array.from({ length: 12 }, (_, i) => create(`p${i}`, {}, '500m')));
    await h.until(
      'eight bound',
      async () => (await h.list(pods)).filter(({ spec }) => spec.nodeName).length === 8,
    );
    await h.settle();
    assert.equal((await h.list(pods)).filter(({ spec }) => spec.nodeName).length, 8);
    await h.createNode('b');
    await h.until('all bound', async () => (await h.list(pods)).every(({ spec }) => spec.nodeName));
  });

  it('says why a pod fits nowhere, and binds it once a node appears', async () => {
    await create('p');
    assert.equal((await unschedulable('p')).message, 'no nodes available to schedule pods');
    await h.until('the event', async () => (await h.events('Pod')).length > 0);
    assert.deepEqual(await h.events('Pod'), ['FailedScheduling: no nodes available to schedule pods']);
    await h.createNode('a');
    assert.equal(await bound('p'), 'a');
  });

  const helpers: [string, () => Promise<unknown>][] = [
    ['a pod is deleted', () => h.client.of(pods).delete('default', 'big', { gracePeriodSeconds: 0 })],
    [
      'a pod has finished',
      () =>
        h.client
          .of(pods)
          .patch(
            'default',
            'big',
            { status: { phase: 'Succeeded' } },
            { type: 'merge', subresource: 'status' },
          ),
    ],
    [
      'the node gets larger',
      () =>
        h.client
          .of(nodes)
          .patch(
            '',
            'a',
            { status: { allocatable: { cpu: '16' } } },
            { type: 'merge', subresource: 'status' },
          ),
    ],
  ];
  for (const [what, help] of helpers)
    it(`tries an unschedulable pod again when ${what}`, async () => {
      await h.createNode('a');
      await create('big', {}, '3');
      await bound('big');
      await create('p', {}, '2');
      const { message } = await unschedulable('p');
      assert.match(
        message ?? '',
        /^0\/1 nodes are available: 1 Insufficient cpu\. no new claims to deallocate, preemption: /,
      );
      await help();
      assert.equal(await bound('p'), 'a');
    });

  it('does not try again for events that cannot help', async () => {
    await h.createNode('a', { taints: [{ key: 'k', effect: 'NoSchedule' }] });
    await create('p');
    await unschedulable('p');
    await h.createNode('b', { unschedulable: true });
    await h.client.of(nodes).patch('', 'a', { metadata: { labels: { x: 'y' } } }, { type: 'merge' });
    await h.settle();
    assert.match((await unschedulable('p')).message ?? '', /^0\/1 nodes/, 'it was not looked at again');
    await h.client.of(nodes).patch('', 'a', { spec: { taints: null } }, { type: 'merge' });
    assert.equal(await bound('p'), 'a');
  });

  it('tries a pod that is to be spread again when a pod it counts is on its way out', async () => {
    await h.createNode('a', {}, { zone: 'x' });
    await h.createNode('b', { unschedulable: true }, { zone: 'y' });
    const spread = (name: string, spec: Partial<Pod['spec']> = {}) =>
      h.client.of(pods).create({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'default', labels: { app: 'web' } },
        spec: { ...podSpec(), ...spec },
      });
    await spread('first');
    await bound('first');
    await spread('second', {
      topologySpreadConstraints: [
        {
          topologyKey: 'zone',
          maxSkew: 1,
          whenUnsatisfiable: 'DoNotSchedule',
          labelSelector: { matchLabels: { app: 'web' } },
        },
      ],
    });
    const { message } = await unschedulable('second');
    assert.match(
      message ?? '',
      /^0\/2 nodes are available: 1 node\(s\) didn't match pod topology spread constraints, 1 node\(s\) were unschedulable\./,
    );
    await h.client.of(pods).delete('default', 'first');
    assert.equal(await bound('second'), 'a');
  });

  describe('preemption', () => {
    const withClass = async (name: string, priorityClassName: string, cpu: string, spec = {}) => {
      const [container] = podSpec().containers;
      return h.client.of(pods).create({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'default' },
        spec: {
          priorityClassName,
          containers: [{ ...container!, resources: { requests: { cpu } } }],
          ...spec,
        },
      });
    };
    beforeEach(async () => {
      for (const [name, value] of [
        ['low', 1],
        ['high', 100],
      ] as const)
        await h.client.of(priorityClasses).create({
          apiVersion: 'scheduling.k8s.io/v1',
          kind: 'PriorityClass',
          metadata: { name },
          value,
        });
      await h.createNode('a');
      await withClass('victim', 'low', '3');
      await bound('victim');
    });

    it('removes a pod of lower priority, waits for it, and takes its place', async () => {
      await withClass('urgent', 'high', '3');
      const promised = await h.until('a promise', async () => {
        const pod = await get('urgent');
        return pod.status?.nominatedNodeName === 'a' && pod;
      });
      assert.equal(condition(promised)?.message, '0/1 nodes are available: 1 Insufficient cpu.');
      const victim = await h.until('the victim to go', async () => {
        const pod = await get('victim');
        return pod.metadata.deletionTimestamp !== undefined && pod;
      });
      const target = victim.status?.conditions?.find((c) => c.type === 'DisruptionTarget');
      assert.equal(target?.reason, 'PreemptionByScheduler');
      assert.equal((await get('urgent')).spec.nodeName, undefined, 'the victim is still there');
      await create('small', {}, '3');
      await unschedulable('small');
      await h.client.of(pods).delete('default', 'victim', { gracePeriodSeconds: 0 });
      assert.equal(await bound('urgent'), 'a');
      assert.equal((await get('urgent')).status?.nominatedNodeName, undefined);
      assert.equal((await get('small')).spec.nodeName, undefined);
      const { uid } = (await get('urgent')).metadata;
      assert.ok((await h.events('Pod')).includes(`Preempted: Preempted by pod ${uid} on node a`));
    });

    it('does not when the pod says that it never preempts', async () => {
      await h.client.of(priorityClasses).create({
        apiVersion: 'scheduling.k8s.io/v1',
        kind: 'PriorityClass',
        metadata: { name: 'polite' },
        value: 100,
        preemptionPolicy: 'Never',
      });
      await withClass('urgent', 'polite', '3');
      assert.match(
        (await unschedulable('urgent')).message ?? '',
        /not eligible due to preemptionPolicy=Never/,
      );
      await h.settle();
      assert.equal((await get('victim')).metadata.deletionTimestamp, undefined);
    });

    it('schedules pods of higher priority first', async () => {
      await h.client.of(nodes).patch('', 'a', { spec: { unschedulable: true } }, { type: 'merge' });
      await h.client.of(pods).delete('default', 'victim', { gracePeriodSeconds: 0 });
      await withClass('first', 'low', '3');
      await withClass('second', 'high', '3');
      await unschedulable('second');
      // Both have waited out their backoff.
      h.clock.advance(5000);
      await h.client.of(nodes).patch('', 'a', { spec: { unschedulable: false } }, { type: 'merge' });
      assert.equal(await bound('second'), 'a');
      assert.equal((await get('first')).spec.nodeName, undefined);
    });
  });

  it('leaves pods with gates, and pods of other schedulers, alone', async () => {
    await h.createNode('a');
    await create('gated', { schedulingGates: [{ name: 'quota' }] });
    await create('foreign', { schedulerName: 'other' });
    await h.settle();
    assert.equal((await get('gated')).spec.nodeName, undefined);
    assert.equal((await get('foreign')).spec.nodeName, undefined);
    await h.client.of(pods).patch('default', 'gated', { spec: { schedulingGates: null } }, { type: 'merge' });
    assert.equal(await bound('gated'), 'a');
  });

  it('places a hundred pods at once', async () => {
    for (const name of ['a', 'b', 'c']) await h.createNode(name, {}, {}, { cpu: '64' });
    await Promise.all(Array.from({ length: 100 }, (_, i) => create(`p${i}`)));
    const all = await h.until('all bound', async () => {
      const found = await h.list(pods);
      return found.every(({ spec }) => spec.nodeName) && found;
    });
    const counts = ['a', 'b', 'c'].map((name) => all.filter(({ spec }) => spec.nodeName === name).length);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, `spread unevenly: ${counts}`);
  });
});
