import assert from 'node:assert/strict';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import type { Kubectl } from '../../fixtures/tools.js';

const FLUENTD = 'examples/ch11-daemonsets/fluentd.yaml';
const FAST_STORAGE = 'examples/ch11-daemonsets/nginx-fast-storage.yaml';

describe('DaemonSets, as a reader of the book runs them', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const rollout = () => kubectl('rollout', 'status', 'daemonset/fluentd', '--timeout=60s');
  /** The nodes that have a running pod with the label. */
  const nodesOf = async (label: string) => {
    const path = 'jsonpath={range .items[*]}{.spec.nodeName}={.status.phase} {end}';
    const words = (await kubectl('get', 'pods', '-l', label, '-o', path)).trim().split(' ');
    return words
      .filter((word) => word.endsWith('=Running'))
      .map((word) => word.split('=')[0])
      .sort()
      .join(' ');
  };
  const on = (label: string, nodes: string) =>
    eventually(`${label} on ${nodes}`, async () => (await nodesOf(label)) === nodes);

  before(async () => {
    cluster = await startTestCluster();
    kubectl = cluster.kubectl;
  });
  after(() => cluster?.down());

  it('runs a collector on the node, which passes on what other pods log', async () => {
    await kubectl('apply', '-f', FLUENTD);
    assert.match(await rollout(), /daemon set "fluentd" successfully rolled out/);
    const row = (await kubectl('get', 'daemonset', 'fluentd', '--no-headers')).trim();
    assert.match(row, /^fluentd\s+1\s+1\s+1\s+1\s+1\s+<none>\s/);
    const script = 'while sleep 1; do echo hello from a pod; done';
    await kubectl('run', 'talker', '--image=keelson.dev/demo:1', '--restart=Never', '--', 'sh', '-c', script);
    await eventually('the line', async () =>
      /^talker: .* hello from a pod$/m.test(await kubectl('logs', 'daemonset/fluentd')),
    );
    await kubectl('delete', 'pod', 'talker', '--grace-period=1');
  });

  it('gives a node that joins its pod', async () => {
    const { code, stderr } = await cluster.keelson(['node', 'add'], 'node-2');
    assert.equal(code, 0, stderr);
    await on('app=fluentd', 'node-1 node-2');
    await rollout();
  });

  it('follows the labels of nodes', async () => {
    await kubectl('apply', '-f', FAST_STORAGE);
    assert.equal(await nodesOf('app=nginx'), '');
    await kubectl('label', 'node', 'node-2', 'ssd=true');
    await on('app=nginx', 'node-2');
    const row = (await kubectl('get', 'daemonset', 'nginx-fast-storage', '--no-headers')).trim();
    assert.match(row, /^nginx-fast-storage\s+1\s.*ssd=true/);
    await kubectl('label', 'node', 'node-2', 'ssd-');
    await on('app=nginx', '');
  });

  it('respects taints, but runs on cordoned nodes', async () => {
    await kubectl('taint', 'node', 'node-2', 'maintenance=now:NoExecute');
    await on('app=fluentd', 'node-1');
    await kubectl('cordon', 'node-2');
    await kubectl('taint', 'node', 'node-2', 'maintenance-');
    await on('app=fluentd', 'node-1 node-2');
    await kubectl('uncordon', 'node-2');
  });

  it('updates, tells its history, and goes back', async () => {
    const images = () =>
      kubectl('get', 'pods', '-l', 'app=fluentd', '-o', 'jsonpath={.items[*].spec.containers[0].image}');
    await kubectl('set', 'image', 'daemonset/fluentd', 'fluentd=keelson.dev/demo:2');
    await rollout();
    assert.equal(await images(), 'keelson.dev/demo:2 keelson.dev/demo:2');
    assert.match(await kubectl('rollout', 'history', 'daemonset/fluentd'), /1\s+<none>\n2\s+<none>/);
    assert.match(
      await kubectl('rollout', 'history', 'daemonset/fluentd', '--revision=1'),
      /Image:\s+keelson\.dev\/demo:1/,
    );
    assert.match(await kubectl('rollout', 'undo', 'daemonset/fluentd'), /rolled back/);
    await rollout();
    assert.equal(await images(), 'keelson.dev/demo:1 keelson.dev/demo:1');
    await kubectl('rollout', 'restart', 'daemonset/fluentd');
    await rollout();
    assert.match(
      await kubectl('describe', 'daemonset', 'fluentd'),
      /SuccessfulCreate[\s\S]*SuccessfulDelete/,
    );
  });

  it('makes room for a pod of higher priority', async () => {
    const pod = (name: string, spec: object) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: {
        nodeSelector: { 'kubernetes.io/hostname': 'node-2' },
        terminationGracePeriodSeconds: 1,
        ...spec,
      },
    });
    const cpu = await kubectl('get', 'node', 'node-2', '-o', 'jsonpath={.status.allocatable.cpu}');
    const millis = cpu.endsWith('m') ? Number(cpu.slice(0, -1)) : Number(cpu) * 1000;
    const containers = [
      {
        name: 'c',
        image: 'keelson.dev/demo:1',
        resources: { requests: { cpu: `${Math.floor(millis * 0.6)}m` } },
      },
    ];
    const create = (object: object) => kubectl.try(['create', '-f', '-'], { stdin: JSON.stringify(object) });
    await kubectl('create', 'priorityclass', 'urgent', '--value=1000');
    await create(pod('patient', { containers }));
    await kubectl('wait', '--for=condition=Ready', 'pod/patient', '--timeout=30s');
    await create(pod('urgent', { containers, priorityClassName: 'urgent' }));
    await kubectl('wait', '--for=condition=Ready', 'pod/urgent', '--timeout=30s');
    assert.equal((await kubectl.try(['get', 'pod', 'patient'])).code, 1);
    assert.match(
      await kubectl('get', 'events'),
      /Preempted\s+pod\/patient\s+Preempted by pod \S+ on node node-2/,
    );
  });

  it('goes, with its pods and revisions', async () => {
    await kubectl('delete', '-f', FLUENTD, '-f', FAST_STORAGE);
    await eventually('the pods to go', async () => (await nodesOf('app=fluentd')) === '');
    await eventually(
      'the revisions to go',
      async () => (await kubectl('get', 'controllerrevisions', '-o', 'name')) === '',
    );
  });
});
