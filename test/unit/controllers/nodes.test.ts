/** Nodes: address ranges, silence, taints, eviction, and pods that outlive their node. */
import assert from 'node:assert/strict';
import type { Pod } from '#types';
import { microTimestamp } from '../../../src/api/machinery/clock.js';
import { leases, namespaces, nodes, pods } from '../../../src/api/resources/index.js';
import { startNodeIpam } from '../../../src/controllers/node-ipam.js';
import { startNodeLifecycle } from '../../../src/controllers/node-lifecycle/index.js';
import { startPodGc } from '../../../src/controllers/pod-gc.js';
import { Harness, podSpec } from './harness.js';

describe('node controllers', function () {
  this.timeout(10_000);
  let h: Harness;
  afterEach(() => h.close());

  const ready = async (name: string) =>
    (await h.client.of(nodes).get('', name)).status?.conditions?.find((c) => c.type === 'Ready');
  const taints = async (name: string) =>
    ((await h.client.of(nodes).get('', name)).spec.taints ?? []).map(
      ({ key, effect }) => `${key.replace('node.kubernetes.io/', '')}:${effect}`,
    );
  const createLease = (name: string) =>
    h.client.of(leases).create({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace: 'kube-node-lease' },
      spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTimestamp(h.clock.now()) },
    });
  const renew = (name: string) =>
    h.client
      .of(leases)
      .patch(
        'kube-node-lease',
        name,
        { spec: { renewTime: microTimestamp(h.clock.now()) } },
        { type: 'merge' },
      );
  const createPod = async (name: string, node: string, seconds: number | undefined): Promise<Pod> => {
    const toleration = (key: string) => ({
      key: `node.kubernetes.io/${key}`,
      operator: 'Exists',
      effect: 'NoExecute',
      ...(seconds === undefined ? {} : { tolerationSeconds: seconds }),
    });
    const pod = await h.client.of(pods).create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: {
        ...podSpec(),
        nodeName: node,
        tolerations: [toleration('not-ready'), toleration('unreachable')],
      },
    });
    await h.setReady(pod);
    return pod;
  };

  /** Nodes a and b with leases; b stays alive. */
  const startNodes = async () => {
    h = await Harness.start(startNodeLifecycle);
    await h.client
      .of(namespaces)
      .create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-node-lease' }, spec: {} })
      .catch(() => undefined);
    for (const name of ['a', 'b']) {
      await h.createNode(name);
      await createLease(name);
    }
    await h.until('no taints', async () => (await taints('a')).length + (await taints('b')).length === 0);
  };
  /** Lets time pass in which only `alive` renew their leases. */
  const pass = async (seconds: number, ...alive: string[]) => {
    for (let left = seconds; left > 0; left -= 5) {
      h.clock.advance(5000);
      for (const name of alive) await renew(name);
      await h.settle(6);
    }
  };

  it('take no notice of a clock that is set', async () => {
    await startNodes();
    h.clock.step(3_600_000);
    await pass(10, 'b');
    assert.deepEqual([(await ready('a'))?.status, await taints('a')], ['True', []]);
    h.clock.step(-7_200_000);
    await pass(45, 'b');
    await h.until('silence to be noticed', async () => (await ready('a'))?.status === 'Unknown');
    assert.deepEqual(await taints('b'), []);
  });

  it('give each node a range of its own', async () => {
    h = await Harness.start(startNodeIpam);
    await Promise.all(['a', 'b', 'c'].map((name) => h.createNode(name)));
    const all = await h.until('ranges', async () => {
      const found = await h.list(nodes);
      return found.every(({ spec }) => spec.podCIDR) && found;
    });
    assert.deepEqual(all.map(({ spec }) => spec.podCIDR).sort(), [
      '10.244.0.0/24',
      '10.244.1.0/24',
      '10.244.2.0/24',
    ]);
    assert.deepEqual(
      all.map(({ spec }) => spec.podCIDRs),
      all.map(({ spec }) => [spec.podCIDR]),
    );
  });

  it('notice a silent node after 40 s, taint it, and take that back when it returns', async () => {
    await startNodes();
    const pod = await createPod('p', 'a', 300);
    await pass(35, 'b');
    assert.equal((await ready('a'))?.status, 'True');
    await pass(10, 'b');
    const condition = await h.until('Unknown', async () => {
      const found = await ready('a');
      return found?.status === 'Unknown' && found;
    });
    assert.equal(condition.reason, 'NodeStatusUnknown');
    assert.equal(condition.message, 'Kubelet stopped posting node status.');
    await h.until('taints', async () => (await taints('a')).length === 2);
    assert.deepEqual(await taints('a'), ['unreachable:NoSchedule', 'unreachable:NoExecute']);
    assert.equal((await ready('b'))?.status, 'True');
    await h.until('the pod is not ready', async () => {
      const found = await h.client.of(pods).get('default', pod.metadata.name);
      return found.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'False');
    });
    assert.ok((await h.events('Node')).includes('NodeNotReady: Node a status is now: NodeNotReady'));

    const node = await h.client.of(nodes).get('', 'a');
    const now = new Date(h.clock.now()).toISOString();
    const back = { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now };
    await renew('a');
    await h.client.of(nodes).updateStatus({ ...node, status: { ...node.status, conditions: [back] } });
    await h.until('no taints', async () => (await taints('a')).length === 0);
  });

  it('do not blame a node for the time in which the machine slept', async () => {
    await startNodes();
    h.clock.advance(3_600_000);
    await h.settle();
    assert.equal((await ready('a'))?.status, 'True');
    await pass(45, 'b');
    await h.until('Unknown', async () => (await ready('a'))?.status === 'Unknown');
    assert.equal((await ready('b'))?.status, 'True');
  });

  it('evict pods when their toleration is over, and only then', async () => {
    await startNodes();
    await createPod('short', 'a', 30);
    await createPod('long', 'a', 3000);
    await createPod('forever', 'a', undefined);
    await createPod('elsewhere', 'b', 0);
    await pass(45, 'b');
    await h.until('taints', async () => (await taints('a')).includes('unreachable:NoExecute'));
    await pass(20, 'b');
    const deleting = async () =>
      (await h.list(pods))
        .filter(({ metadata }) => metadata.deletionTimestamp)
        .map(({ metadata }) => metadata.name);
    assert.deepEqual(await deleting(), []);
    await pass(15, 'b');
    await h.until('the eviction', async () => (await deleting()).length === 1);
    assert.deepEqual(await deleting(), ['short']);
    const short = await h.client.of(pods).get('default', 'short');
    assert.equal(
      short.status?.conditions?.find((c) => c.type === 'DisruptionTarget')?.reason,
      'DeletionByTaintManager',
    );
    assert.ok(
      (await h.events('Pod')).includes('TaintManagerEviction: Marking for deletion Pod default/short'),
    );
  });

  it('evict at once what does not tolerate a taint that a user adds', async () => {
    await startNodes();
    await createPod('p', 'a', 300);
    const patch = { spec: { taints: [{ key: 'maintenance', effect: 'NoExecute' }] } };
    await h.client.of(nodes).patch('', 'a', patch, { type: 'merge' });
    await h.until(
      'the eviction',
      async () => (await h.find(pods, 'default', 'p'))?.metadata.deletionTimestamp,
    );
  });

  it('evict nothing when every node is silent: then the network is to blame', async () => {
    await startNodes();
    await createPod('p', 'a', 0);
    await pass(60);
    await h.until('Unknown', async () => (await ready('a'))?.status === 'Unknown');
    await h.until('Unknown', async () => (await ready('b'))?.status === 'Unknown');
    await h.settle();
    assert.deepEqual(
      [await taints('a'), await taints('b')],
      [['unreachable:NoSchedule'], ['unreachable:NoSchedule']],
    );
    assert.equal((await h.find(pods, 'default', 'p'))?.metadata.deletionTimestamp, undefined);
  });

  it('remove pods of a node that is gone for 40 s', async () => {
    h = await Harness.start(startPodGc);
    await h.createNode('a');
    await createPod('p', 'a', 300);
    await h.settle();
    await h.client.of(nodes).delete('', 'a');
    await h.settle();
    h.clock.advance(35_000);
    await h.settle();
    assert.ok(await h.find(pods, 'default', 'p'));
    h.clock.advance(6000);
    await h.until('the pod to go', async () => !(await h.find(pods, 'default', 'p')));
  });

  it('remove the oldest finished pods above the threshold', async () => {
    h = await Harness.start((options) => startPodGc({ ...options, terminatedPodThreshold: 2 }));
    await h.createNode('a');
    for (const name of ['one', 'two', 'three']) {
      const pod = await createPod(name, 'a', 300);
      const patch = { status: { phase: 'Succeeded' } };
      await h.client
        .of(pods)
        .patch('default', pod.metadata.name, patch, { type: 'merge', subresource: 'status' });
      h.clock.advance(2000);
    }
    await h.until('two pods', async () => (await h.list(pods)).length === 2);
    assert.deepEqual((await h.list(pods)).map(({ metadata }) => metadata.name).sort(), ['three', 'two']);
  });
});
