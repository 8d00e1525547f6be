import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Event, Node, Pod } from '#types';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';

/** The node's data folder is a file system of its own, so that nothing but the tests fills it. */
const DISK_MIB = 768;

describe('node-pressure eviction', function () {
  this.timeout(180_000);
  let cluster: TestCluster;

  let place: string;

  before(async () => {
    cluster = await startTestCluster();
    place = join(cluster.dataDir, 'nodes');
    await cluster.keelson(['node', 'stop', cluster.node]);
    renameSync(place, `${place}.before`);
    mkdirSync(place);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', place]);
    execFileSync('cp', ['-a', `${place}.before/.`, place]);
    await start('--eviction-hard=nodefs.available<300Mi', '--eviction-pressure-transition-period=1s');
  });
  after(async () => {
    if (!cluster) return;
    // With the folder goes what is known of them.
    await cluster.kubectl.try(['delete', 'pod', '--all', '--wait']);
    await cluster.keelson(['node', 'stop', cluster.node]);
    execFileSync('umount', ['--lazy', place]);
    await cluster.down();
  });

  async function start(...flags: string[]): Promise<void> {
    const { code, stderr } = await cluster.keelson(['up'], '--no-kubeconfig', ...flags);
    assert.equal(code, 0, stderr);
  }

  const get = async <T>(...what: string[]): Promise<T> =>
    JSON.parse(await cluster.kubectl('get', ...what, '-o', 'json'));
  const create = async (pod: Pod) => {
    const { code, stderr } = await cluster.kubectl.try(['create', '-f', '-'], { stdin: JSON.stringify(pod) });
    assert.equal(code, 0, stderr);
  };
  const evicted = (name: string) =>
    eventually(`eviction of ${name}`, async () => {
      const pod = await get<Pod>('pod', name);
      return pod.status?.phase === 'Failed' && pod;
    });

  it('ends a pod that takes more of the disk than it may', async () => {
    const resources = { limits: { 'ephemeral-storage': '10Mi' } };
    const container = {
      resources,
      securityContext: { runAsUser: 0 },
      volumeMounts: [{ name: 'v', mountPath: '/v' }],
    };
    const spec = { volumes: [{ name: 'v', emptyDir: {} }] };
    const write = (to: string) => `dd if=/dev/zero of=${to} bs=1M count=20; sleep 1000`;
    await create(shellPod('layer', write('/file'), { container, spec }));
    await create(shellPod('volume', write('/v/file'), { container, spec }));
    const small = { volumes: [{ name: 'v', emptyDir: { sizeLimit: '5Mi' } }] };
    await create(
      shellPod('limited', write('/v/file'), { container: { ...container, resources: {} }, spec: small }),
    );
    const pod = 'Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ';
    for (const [name, message] of [
      ['layer', pod],
      ['volume', pod],
      ['limited', 'Usage of EmptyDir volume "v" exceeds the limit "5Mi". '],
    ] as const) {
      const { status } = await evicted(name);
      assert.equal(status?.reason, 'Evicted');
      assert.equal(status?.message, message);
      // It is the pod's own doing.
      assert.ok(!status?.conditions?.some((c) => c.type === 'DisruptionTarget'));
    }
  });

  it('lets the greediest pod go when the disk is full, and takes none meanwhile', async () => {
    const volumes = { volumes: [{ name: 'v', emptyDir: {} }] };
    const container = { volumeMounts: [{ name: 'v', mountPath: '/v' }] };
    await create(shellPod('modest', 'sleep 1000', { container, spec: volumes }));
    await create(
      shellPod('greedy', 'dd if=/dev/zero of=/v/file bs=1M count=500; sleep 1000', {
        container,
        spec: volumes,
      }),
    );
    const under = await eventually('disk pressure', async () => {
      const node = await get<Node>('node', cluster.node);
      const isUnder = node.status?.conditions?.find((c) => c.type === 'DiskPressure')?.status === 'True';
      return isUnder && node;
    });
    const { reason, message } = under.status!.conditions!.find((c) => c.type === 'DiskPressure')!;
    assert.deepEqual([reason, message], ['KubeletHasDiskPressure', 'kubelet has disk pressure']);
    await create(shellPod('late', 'sleep 1000', { spec: { nodeName: cluster.node } }));
    const late = await evicted('late');
    assert.equal(late.status?.reason, 'Evicted');
    assert.equal(late.status?.message, 'Pod was rejected: The node had condition: [DiskPressure]. ');
    const { status } = await evicted('greedy');
    assert.equal(status?.reason, 'Evicted');
    const target = status?.conditions?.find((c) => c.type === 'DisruptionTarget');
    assert.deepEqual([target?.reason, target?.message], ['TerminationByKubelet', status?.message]);
    assert.match(
      status?.message ?? '',
      /^The node was low on resource: ephemeral-storage\. Threshold quantity: 300Mi, available: \d+(Ki|Mi)?\. Container c was using \d+Ki, request is 0, has larger consumption of ephemeral-storage\. $/,
    );
    const events = await get<{ items: Event[] }>(
      'events',
      '--field-selector',
      'involvedObject.name=greedy,reason=Evicted',
    );
    assert.equal(events.items[0]?.message, status?.message);
    await eventually('the end of the pressure', async () => {
      const node = await get<Node>('node', cluster.node);
      const taints = node.spec.taints?.map((taint) => taint.key) ?? [];
      const has = node.status?.conditions?.find((c) => c.type === 'DiskPressure')?.status;
      return has === 'False' && !taints.includes('node.kubernetes.io/disk-pressure');
    });
    assert.equal((await get<Pod>('pod', 'modest')).status?.phase, 'Running');
  });

  it('takes no BestEffort pod when memory is short, and lets those go that use more than they asked for', async () => {
    await cluster.kubectl('delete', 'pod', '--all', '--wait');
    const ask = (memory: string) => ({ container: { resources: { requests: { memory } } } });
    await create(shellPod('above', 'sleep 1000', ask('1Ki')));
    await create(shellPod('below', 'sleep 1000', ask('64Mi')));
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/above', 'pod/below');
    await cluster.keelson(['node', 'stop', cluster.node, '--keep-pods']);
    await start('--eviction-hard=memory.available<99.9%');
    const { status } = await evicted('above');
    assert.match(
      status?.message ?? '',
      /^The node was low on resource: memory\. Threshold quantity: \d+(Ki|Mi)?, available: \d+(Ki|Mi)?\. Container c was using \d+(Ki|Mi)?, request is 1Ki, has larger consumption of memory\. $/,
    );
    assert.equal((await get<Pod>('pod', 'below')).status?.phase, 'Running');
    await create(shellPod('best-effort', 'sleep 1000', { spec: { nodeName: cluster.node } }));
    const refused = await evicted('best-effort');
    assert.equal(refused.status?.message, 'Pod was rejected: The node had condition: [MemoryPressure]. ');
  });
});
