import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { podResourcesService } from '../../../src/rpc/pod-resources.js';
import { UnixClient } from '../../../src/rpc/unix-client.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { TestDevicePlugin } from '../../fixtures/device-plugin.js';
import { shellPod } from '../../fixtures/pods.js';
import { register } from '../../fixtures/registry.js';
import type { Kubectl } from '../../fixtures/tools.js';

const RESOURCE = 'test.keelson.dev/fuse';

describe('device plugins', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  let root: string;
  let plugin: TestDevicePlugin;
  const get = (what: string, path: string) => kubectl('get', ...what.split(' '), '-o', `jsonpath={${path}}`);
  const apply = async (object: object) => {
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(object) });
    assert.equal(code, 0, stderr);
  };
  const ready = (name: string) => kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=30s');
  const remove = (...names: string[]) => kubectl('delete', 'pod', ...names, '--timeout=30s');
  const wanting = (name: string, count: number, resource = RESOURCE, spec: object = {}) =>
    shellPod(name, 'trap exit TERM; sleep 86400 & wait', {
      container: {
        resources: { limits: { [resource]: `${count}` } },
        env: [{ name: 'OVERRIDDEN', value: 'by the pod' }],
        securityContext: { runAsUser: 0 },
      },
      spec,
    });
  const devicesOf = (name: string) => kubectl('exec', name, '--', 'sh', '-c', 'echo $TEST_DEVICES');
  const amounts = async (resource = RESOURCE) => {
    const { status } = JSON.parse(await kubectl('get', 'node', cluster.node, '-o', 'json'));
    return `${status.allocatable[resource]} of ${status.capacity[resource]}`;
  };
  const told = (expected: string, resource = RESOURCE) =>
    eventually(`the node to tell ${expected}`, async () => (await amounts(resource)) === expected);

  before(async () => {
    cluster = await startTestCluster();
    kubectl = cluster.kubectl;
    root = join(cluster.dataDir, 'nodes', cluster.node, 'kubelet');
    plugin = new TestDevicePlugin({ resource: RESOURCE, root, node: '/dev/fuse', ids: ['d1', 'd2'] });
    await eventually('the socket of registration', async () =>
      existsSync(join(root, 'device-plugins', 'kubelet.sock')),
    );
  });
  after(async () => {
    plugin?.stop();
    await cluster?.down();
  });

  it('refuses what it does not know', async () => {
    await assert.rejects(
      plugin.register('v1alpha'),
      /requested API version "v1alpha" is not supported by kubelet/,
    );
    const other = new TestDevicePlugin({ resource: 'cpu', root, node: '/dev/fuse', ids: [] });
    await assert.rejects(other.register(), /the ResourceName "cpu" is invalid/);
  });

  it('tells what the node has', async () => {
    await plugin.serve();
    await plugin.register();
    await told('2 of 2');
  });

  it('gives a container its device, and no other', async () => {
    await apply(wanting('one', 1));
    await ready('one');
    const look =
      'echo $TEST_DEVICES $OVERRIDDEN; cat /etc/plugin-hostname >/dev/null && exec 3<>/dev/test-d2 && ls /dev | grep test-';
    assert.equal(await kubectl('exec', 'one', '--', 'sh', '-c', look), 'd2 by the pod\ntest-d2\n');
    assert.deepEqual(plugin.calls, ['Allocate d2', 'PreStartContainer d2']);
    assert.equal(
      await get('pod one', '.status.containerStatuses[0].allocatedResourcesStatus'),
      `[{"name":"${RESOURCE}","resources":[{"health":"Healthy","resourceID":"d2"}]}]`,
    );
  });

  it('tells other programs of the node who has what', async () => {
    const client = new UnixClient(join(root, 'pod-resources', 'kubelet.sock'));
    try {
      const { podResources } = await client.call(podResourcesService.list, {});
      const found = podResources?.find(({ name }) => name === 'one');
      assert.deepEqual(JSON.parse(JSON.stringify(found)), {
        name: 'one',
        namespace: 'default',
        containers: [
          { name: 'c', devices: [{ resourceName: RESOURCE, deviceIds: ['d2'] }], dynamicResources: [] },
        ],
      });
      const { devices } = await client.call(podResourcesService.getAllocatableResources, {});
      assert.deepEqual(JSON.parse(JSON.stringify(devices)), [
        { resourceName: RESOURCE, deviceIds: ['d1', 'd2'] },
      ]);
      const unknown = { podName: 'none', podNamespace: 'default' };
      await assert.rejects(
        client.call(podResourcesService.get, unknown),
        /pod none in namespace default not found/,
      );
    } finally {
      client.close();
    }
  });

  it('leaves pods waiting until a device is free', async () => {
    await apply(wanting('greedy', 2));
    await eventually('the scheduler to say so', async () =>
      (await get('pod greedy', '.status.conditions[?(@.type=="PodScheduled")].message')).startsWith(
        `0/1 nodes are available: 1 Insufficient ${RESOURCE}.`,
      ),
    );
    await remove('one');
    await ready('greedy');
    assert.equal(await devicesOf('greedy'), 'd2,d1\n');
  });

  it('rejects what did not ask the scheduler', async () => {
    await apply(wanting('rude', 1, RESOURCE, { nodeName: cluster.node }));
    await kubectl('wait', '--for=jsonpath={.status.phase}=Failed', 'pod/rude', '--timeout=30s');
    assert.equal(await get('pod rude', '.status.reason'), 'UnexpectedAdmissionError');
    assert.equal(
      await get('pod rude', '.status.message'),
      `Pod was rejected: Allocate failed due to requested number of devices unavailable for ${RESOURCE}. Requested: 1, Available: 0, which is unexpected`,
    );
    await remove('rude', 'greedy');
  });

  it('gives the devices of init containers again', async () => {
    const pod = wanting('steps', 2);
    const init = { ...pod.spec.containers[0]!, name: 'init', command: ['sh', '-c', 'echo $TEST_DEVICES'] };
    await apply({ ...pod, spec: { ...pod.spec, initContainers: [init] } });
    await ready('steps');
    assert.equal(await kubectl('logs', 'steps', '-c', 'init'), 'd2,d1\n');
    await remove('steps');
  });

  it('follows the health of devices', async () => {
    await apply(wanting('patient', 1));
    await ready('patient');
    plugin.setHealthy('d2', false);
    await told('1 of 2');
    await eventually('the pod to tell of it', async () =>
      (await get('pod patient', '.status.containerStatuses[0].allocatedResourcesStatus')).includes(
        '"Unhealthy"',
      ),
    );
    plugin.setHealthy('d2', true);
    await told('2 of 2');
  });

  it('knows who has what after a restart of the agent', async () => {
    const id = await get('pod patient', '.status.containerStatuses[0].containerID');
    process.kill(cluster.pid('agent'), 'SIGKILL');
    await cluster.restart('agent');
    // By this plugins see that they are to register again.
    await eventually('the old sockets to go', async () => !existsSync(plugin.socket));
    await told('0 of 0');
    plugin.stop();
    await plugin.serve();
    await plugin.register();
    await told('2 of 2');
    assert.equal(await get('pod patient', '.status.containerStatuses[0].containerID'), id);
    await apply(wanting('next', 1));
    await ready('next');
    assert.equal(await devicesOf('next'), 'd1\n');
    await remove('patient', 'next');
  });

  it('finds plugins in their folder, and gives CDI devices', async () => {
    const resource = 'test.keelson.dev/cdi';
    const kind = `keelson-test-${process.pid}.dev/thing`;
    const file = `/var/run/cdi/keelson-test-${process.pid}.yaml`;
    mkdirSync('/var/run/cdi', { recursive: true });
    register({ kind: 'dir', path: file });
    const deviceNodes = [{ path: '/dev/from-cdi', hostPath: '/dev/fuse' }];
    writeFileSync(
      file,
      JSON.stringify({
        ...{ cdiVersion: '0.6.0', kind, containerEdits: { env: ['OVERRIDDEN=by CDI'] } },
        devices: [{ name: 'x', containerEdits: { deviceNodes, env: ['CDI=x'] } }],
      }),
    );
    const found = new TestDevicePlugin({ resource, root, node: '/dev/fuse', ids: ['c1'], cdi: `${kind}=x` });
    try {
      await found.announce();
      await told('1 of 1', resource);
      assert.equal(found.registered, true);
      await apply(wanting('cdi', 1, resource));
      await ready('cdi');
      const look = 'echo $CDI $OVERRIDDEN; exec 3<>/dev/from-cdi && echo open';
      assert.equal(await kubectl('exec', 'cdi', '--', 'sh', '-c', look), 'x by CDI\nopen\n');
    } finally {
      found.stop();
      rmSync(file, { force: true });
    }
    await told('0 of 1', resource);
    await remove('cdi');
  });
});
