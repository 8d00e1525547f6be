import assert from 'node:assert/strict';
import { eventually, startTestCluster, type TestCluster } from '../fixtures/cluster.js';
import { shellPod } from '../fixtures/pods.js';

const PODS = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    shellPod('counter', 'i=0; while true; do echo "line $i"; i=$((i+1)); sleep 0.05; done'),
    shellPod('ends', 'sleep 3; exit 3', { spec: { restartPolicy: 'Never' } }),
  ],
};

/** Fails when the numbered lines have a gap or a repeat. */
function assertUnbroken(log: string): number {
  const numbers = log
    .trim()
    .split('\n')
    .map((line) => Number(line.replace('line ', '')));
  for (const [i, n] of numbers.entries()) assert.equal(n, i, `line ${i} of the log`);
  return numbers.length;
}

describe('processes that are killed', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  const status = async (name: string, path: string) =>
    cluster.kubectl('get', 'pod', name, '-o', `jsonpath={.status.${path}}`);
  const hostPid = async () =>
    (await cluster.kubectl('exec', 'counter', '--', 'cat', '/proc/1/stat')).split(' ')[21];

  before(async () => {
    cluster = await startTestCluster();
    const applied = await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(PODS) });
    assert.equal(applied.code, 0, applied.stderr);
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/counter', '--timeout=30s');
  });
  after(() => cluster?.down());

  it('an agent that is killed leaves containers running; its successor goes on and catches up', async () => {
    const startedAt = await hostPid();
    const id = await status('counter', 'containerStatuses[0].containerID');
    process.kill(cluster.pid('agent'), 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 3500));
    await cluster.restart('agent');
    await eventually(
      'what ended meanwhile to be told',
      async () => (await status('ends', 'phase')) === 'Failed',
    );
    assert.equal(await status('ends', 'containerStatuses[0].state.terminated.exitCode'), '3');
    assert.equal(await status('counter', 'containerStatuses[0].restartCount'), '0');
    assert.equal(await status('counter', 'containerStatuses[0].containerID'), id);
    assert.equal(await hostPid(), startedAt);
    assert.ok(assertUnbroken(await cluster.kubectl('logs', 'counter')) > 60);
  });

  it('a control plane that is killed and started again finds everything as it was', async () => {
    const startedAt = await hostPid();
    await cluster.kubectl('create', 'configmap', 'acknowledged', '--from-literal=a=b');
    await cluster.kubectl('apply', '-f', 'examples/ch17-extending/loadtest-resource.yaml');
    await cluster.kubectl('wait', '--for=condition=Established', 'crd', '--all');
    process.kill(cluster.pid('server'), 'SIGKILL');
    await cluster.restart('server');
    await cluster.kubectl('get', 'configmap', 'acknowledged');
    assert.equal(await cluster.kubectl('get', 'loadtests', '--ignore-not-found'), '');
    assert.match(await cluster.kubectl('explain', 'loadtest.spec'), /FIELDS:/);
    await eventually('the agent to be back', async () =>
      (await cluster.kubectl('get', 'nodes')).includes(' Ready'),
    );
    await eventually('exec to work again', async () => (await hostPid()) === startedAt);
    assert.equal(await status('counter', 'containerStatuses[0].restartCount'), '0');
    assertUnbroken(await cluster.kubectl('logs', 'counter'));
  });

  it('both killed at once and started again run what was asked for, and only that', async () => {
    const startedAt = await hostPid();
    process.kill(cluster.pid('agent'), 'SIGKILL');
    process.kill(cluster.pid('server'), 'SIGKILL');
    await cluster.restart('server');
    await eventually('exec to work again', async () => (await hostPid()) === startedAt);
    await cluster.kubectl('delete', 'pod', 'counter', '--timeout=30s');
    await eventually(
      'the pod to go',
      async () => !(await cluster.kubectl('get', 'pods')).includes('counter'),
    );
  });
});
