/** What pods are told, and in which order, when their machine goes down. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pod } from '#types';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';
import { register } from '../../fixtures/registry.js';

describe('a node whose machine shuts down', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let folder: string;

  const apply = async (...items: object[]) => {
    const stdin = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const { code, stderr } = await cluster.kubectl.try(['apply', '-f', '-'], { stdin });
    assert.equal(code, 0, stderr);
  };
  const get = async (name: string): Promise<Pod> =>
    JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json'));
  /** Writes down when it is told to end, and when it has. */
  const pod = (name: string, seconds: number, priorityClassName?: string): Pod =>
    shellPod(
      name,
      `trap 'echo ${name} told >> /o/log; sleep ${seconds}; echo ${name} ends >> /o/log; exit 0' TERM; sleep 1000 & wait`,
      {
        container: { volumeMounts: [{ name: 'o', mountPath: '/o' }] },
        spec: {
          terminationGracePeriodSeconds: 30,
          volumes: [{ name: 'o', hostPath: { path: folder } }],
          nodeName: cluster.node,
          ...(priorityClassName ? { priorityClassName } : {}),
        },
      },
    );

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'keelson-test-shutdown-'));
    register({ kind: 'dir', path: folder });
    chmodSync(folder, 0o777);
    cluster = await startTestCluster('--shutdown-grace-period-by-pod-priority', '0=3s,1000=20s');
  });
  after(async () => {
    await cluster?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  it('ends its pods by their priority, says so of them and of itself, and takes no more', async () => {
    const apiVersion = 'scheduling.k8s.io/v1';
    await apply({ apiVersion, kind: 'PriorityClass', metadata: { name: 'high' }, value: 1000 });
    await apply(pod('low', 0), pod('slow', 60), pod('high', 1, 'high'));
    const names = ['low', 'slow', 'high'];
    await cluster.kubectl('wait', '--for=condition=Ready', ...names.map((n) => `pod/${n}`), '--timeout=30s');
    process.kill(cluster.pid('agent'), 'SIGPWR');

    const ready = () =>
      cluster.kubectl('get', 'node', cluster.node, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")]}');
    await eventually('the node not to be ready', async () => /"status":"False"/.test(await ready()));
    const { reason, message } = JSON.parse(await ready());
    assert.deepEqual([reason, message], ['KubeletNotReady', 'node is shutting down']);
    await apply(pod('late', 0));
    const late = await eventually('a refusal', async () => {
      const { status } = await get('late');
      return status?.phase === 'Failed' && status;
    });
    assert.deepEqual(
      [late.reason, late.message],
      ['NodeShutdown', 'Pod was rejected: Pod was rejected as the node is shutting down.'],
    );

    // As a service manager does when the machine waits no longer: the agent stays until its pods have ended.
    process.kill(cluster.pid('agent'), 'SIGTERM');
    for (const name of names) {
      const status = await eventually(`${name} to end`, async () => {
        const { status: told } = await get(name);
        return told?.phase === 'Failed' && told;
      });
      const said = 'Pod was terminated in response to imminent node shutdown.';
      assert.deepEqual([status.reason, status.message], ['Terminated', said]);
      const target = status.conditions?.find(({ type }) => type === 'DisruptionTarget');
      assert.deepEqual([target?.status, target?.reason], ['True', 'TerminationByKubelet']);
    }
    const log = readFileSync(join(folder, 'log'), 'utf8').trim().split('\n');
    assert.deepEqual(log.filter((line) => /low told|slow told/.test(line)).sort(), ['low told', 'slow told']);
    // Those that do not end in time are not waited for.
    assert.deepEqual(
      log.filter((line) => !/slow/.test(line)),
      ['low told', 'low ends', 'high told', 'high ends'],
    );
    assert.match(
      await cluster.kubectl('get', 'events', '--field-selector', 'involvedObject.kind=Node'),
      /NodeShutdown +node\/\S+ +Shutdown manager detected shutdown event/,
    );
  });
});
