import assert from 'node:assert/strict';
import type { Event, Pod } from '#types';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';

describe('in-place resize', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await startTestCluster();
  });
  after(() => cluster?.down());

  const get = async (name: string): Promise<Pod> =>
    JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json'));
  const status = async (name: string) => (await get(name)).status!.containerStatuses![0]!;
  const condition = async (name: string, type: string) =>
    (await get(name)).status!.conditions!.find((c) => c.type === type);
  const events = async (name: string) => {
    const selector = `involvedObject.name=${name}`;
    const list = await cluster.kubectl('get', 'events', '--field-selector', selector, '-o', 'json');
    return (JSON.parse(list) as { items: Event[] }).items;
  };

  async function create(name: string, resources: object, container: object = {}, script = 'sleep 1000') {
    const pod = shellPod(name, script, { container: { resources, ...container } });
    const { code, stderr } = await cluster.kubectl.try(['create', '-f', '-'], { stdin: JSON.stringify(pod) });
    assert.equal(code, 0, stderr);
    await cluster.kubectl('wait', '--for=condition=Ready', `pod/${name}`);
  }
  const resize = (name: string, resources: object) =>
    cluster.kubectl(
      ...['patch', 'pod', name, '--subresource', 'resize', '--patch'],
      JSON.stringify({ spec: { containers: [{ name: 'c', resources }] } }),
    );
  /** The container's limit as its own kernel tells it. */
  const memoryLimit = async (name: string) => {
    const v1 = '/sys/fs/cgroup/memory/memory.limit_in_bytes';
    const show = `cat ${v1} 2>/dev/null || cat /sys/fs/cgroup/memory.max`;
    return (await cluster.kubectl('exec', name, '--', 'sh', '-c', show)).trim();
  };
  const resized = (name: string, memory: string) =>
    eventually(`the resize of ${name}`, async () => {
      const { resources } = await status(name);
      return resources?.limits?.['memory'] === memory && !(await condition(name, 'PodResizeInProgress'));
    });

  it('gives a running container more and less, without a restart', async () => {
    const amounts = (memory: string, cpu: string) => ({ requests: { memory, cpu }, limits: { memory, cpu } });
    await create('grows', amounts('64Mi', '100m'));
    const { containerID } = await status('grows');
    await resize('grows', amounts('128Mi', '200m'));
    await resized('grows', '128Mi');
    assert.equal(await memoryLimit('grows'), `${128 << 20}`);
    await resize('grows', amounts('32Mi', '50m'));
    await resized('grows', '32Mi');
    assert.equal(await memoryLimit('grows'), `${32 << 20}`);
    const after = await status('grows');
    assert.equal(after.containerID, containerID);
    assert.equal(after.restartCount, 0);
    assert.deepEqual(after.allocatedResources, { memory: '32Mi', cpu: '50m' });
    const told = (await events('grows')).filter((e) => e.reason?.startsWith('Resize'));
    const json =
      '{"containers":[{"name":"c","resources":{"limits":{"cpu":"200m","memory":"128Mi"},"requests":{"cpu":"200m","memory":"128Mi"}}}],"generation":2}';
    assert.ok(told.some((e) => e.reason === 'ResizeStarted' && e.message === `Pod resize started: ${json}`));
    assert.ok(
      told.some((e) => e.reason === 'ResizeCompleted' && e.message === `Pod resize completed: ${json}`),
    );
  });

  it('starts a container again where its resize policy says so', async () => {
    const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
    await create('restarts', { limits: { memory: '64Mi', cpu: '100m' } }, { resizePolicy });
    await resize('restarts', { limits: { cpu: '200m' }, requests: { cpu: '200m' } });
    await eventually(
      'more CPU',
      async () => (await status('restarts')).resources?.limits?.['cpu'] === '200m',
    );
    assert.equal((await status('restarts')).restartCount, 0);
    await resize('restarts', { limits: { memory: '96Mi' }, requests: { memory: '96Mi' } });
    await eventually('a restart', async () => (await status('restarts')).restartCount === 1);
    await resized('restarts', '96Mi');
    assert.equal(await memoryLimit('restarts'), `${96 << 20}`);
    const killing = (await events('restarts')).find((e) => e.reason === 'Killing');
    assert.equal(killing?.message, 'Container c resize requires restart');
  });

  it('gives the pod as a whole more, and what its containers have of it', async () => {
    const amounts = (memory: string, cpu: string) => ({ requests: { memory, cpu }, limits: { memory, cpu } });
    const pod = shellPod('whole', 'sleep 1000', { spec: { resources: amounts('64Mi', '100m') } });
    const { stderr } = await cluster.kubectl.try(['create', '-f', '-'], { stdin: JSON.stringify(pod) });
    assert.equal(stderr, '');
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/whole');
    const patch = (resources: object) =>
      cluster.kubectl(
        'patch',
        'pod',
        'whole',
        '--subresource',
        'resize',
        '-p',
        JSON.stringify({ spec: { resources } }),
      );
    await patch(amounts('128Mi', '200m'));
    const { resources, allocatedResources } = await eventually('the resize', async () => {
      const { status } = await get('whole');
      return status?.resources?.limits?.['memory'] === '128Mi' && status;
    });
    assert.deepEqual(resources, amounts('128Mi', '200m'));
    assert.deepEqual(allocatedResources, amounts('128Mi', '200m').requests);
    assert.equal(await memoryLimit('whole'), `${128 << 20}`);
    assert.deepEqual([(await status('whole')).restartCount, (await status('whole')).resources], [0, {}]);
    // One that failed does not hold up the next.
    await patch(amounts('10Ki', '200m'));
    const failed = async () => (await condition('whole', 'PodResizeInProgress'))?.reason === 'Error';
    await eventually('an error', failed);
    await patch(amounts('96Mi', '200m'));
    await eventually('96 MiB', async () => (await memoryLimit('whole')) === `${96 << 20}`);
  });

  it('says what can never be, and goes on with what is', async () => {
    await create('greedy', { requests: { cpu: '100m' } });
    await resize('greedy', { requests: { cpu: '1000' } });
    const pending = await eventually('a condition', () => condition('greedy', 'PodResizePending'));
    assert.equal(pending.reason, 'Infeasible');
    assert.match(
      pending.message ?? '',
      /^Node didn't have enough capacity: cpu, requested: 1000000, capacity: \d+$/,
    );
    assert.deepEqual((await status('greedy')).resources, { requests: { cpu: '100m' } });
    await eventually('an event', async () =>
      (await events('greedy')).some((e) => e.reason === 'ResizeInfeasible'),
    );
    await resize('greedy', { requests: { cpu: '100m' } });
    await eventually(
      'no condition',
      async () => (await condition('greedy', 'PodResizePending')) === undefined,
    );
  });

  it('waits for room, also across a restart of the agent', async () => {
    const allocatable = await cluster.kubectl(
      'get',
      'nodes',
      '-o',
      'jsonpath={.items[0].status.allocatable.cpu}',
    );
    const milli = allocatable.endsWith('m') ? Number.parseInt(allocatable, 10) : Number(allocatable) * 1000;
    await cluster.kubectl('delete', 'pod', '--all', '--wait');
    await create('big', { requests: { cpu: `${milli - 300}m` } });
    await create('small', { requests: { cpu: '100m' } });
    await resize('small', { requests: { cpu: '400m' } });
    const pending = await eventually('a condition', () => condition('small', 'PodResizePending'));
    assert.equal(pending.reason, 'Deferred');
    const message = `Node didn't have enough resource: cpu, requested: 400, used: ${milli - 300}, capacity: ${milli}`;
    assert.equal(pending.message, message);
    process.kill(cluster.pid('agent'), 'SIGKILL');
    await cluster.restart('agent');
    const after = await status('small');
    assert.deepEqual(after.allocatedResources, { cpu: '100m' });
    assert.equal(after.restartCount, 0);
    assert.equal((await condition('small', 'PodResizePending'))?.reason, 'Deferred');
    await cluster.kubectl('delete', 'pod', 'big', '--wait');
    await eventually(
      'the resize',
      async () => (await status('small')).resources?.requests?.['cpu'] === '400m',
    );
    await eventually(
      'no condition',
      async () => (await condition('small', 'PodResizePending')) === undefined,
    );
  });

  it('takes no memory that is in use', async () => {
    const fill = 'dd if=/dev/zero of=/dev/shm/fill bs=1M count=40; sleep 1000';
    await create('full', { limits: { memory: '100Mi' } }, {}, fill);
    await cluster.kubectl(
      'exec',
      'full',
      '--',
      'sh',
      '-c',
      'until [ $(stat -c %s /dev/shm/fill) = 41943040 ]; do sleep 0.1; done',
    );
    await resize('full', { limits: { memory: '20Mi' }, requests: { memory: '20Mi' } });
    const error = await eventually('an error', async () => {
      const found = await condition('full', 'PodResizeInProgress');
      return found?.reason === 'Error' && found;
    });
    assert.match(
      error.message ?? '',
      /^attempting to set pod memory limit \(20971520\) below current usage \(\d+\)$/,
    );
    await cluster.kubectl('exec', 'full', '--', 'rm', '/dev/shm/fill');
    await resized('full', '20Mi');
  });
});
