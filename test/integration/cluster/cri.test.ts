import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client, type ClientReadableStream, credentials } from '@grpc/grpc-js';
import { WebSocket } from 'ws';
import { Cri, imageService, runtimeService } from '../../../src/rpc/cri.js';
import { UnixClient } from '../../../src/rpc/unix-client.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';

const IMAGE = 'keelson.dev/demo:blue';
const HOST_PORT = 21_081;
const LOGS = '/tmp/keelson-cri-test-logs';
const SANDBOX = {
  metadata: { name: 'made', namespace: 'outside', uid: 'u1', attempt: 1 },
  hostname: 'made-here',
  logDirectory: LOGS,
  labels: { made: 'yes' },
  dnsConfig: { servers: ['192.0.2.1'], searches: ['example.test'] },
  linux: { securityContext: { namespaceOptions: { pid: 1 } } },
};

describe('the Container Runtime Interface of a node', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let socket = '';
  let client: UnixClient;

  before(async () => {
    cluster = await startTestCluster();
    socket = join(cluster.runDir, 'nodes', cluster.node, 'cri.sock');
    client = new UnixClient(socket);
    const pod = shellPod('web', 'echo hello; sleep 100000');
    Object.assign(pod.metadata, { labels: { app: 'web' }, annotations: { note: 'n' } });
    await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(pod) });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/web', '--timeout=30s');
  });
  after(async () => {
    client?.close();
    rmSync(LOGS, { recursive: true, force: true });
    await cluster?.down();
  });

  const call = (name: keyof typeof runtimeService, request: object = {}): Promise<any> =>
    client.call(runtimeService[name], request, 20_000);
  const image = (name: keyof typeof imageService, request: object = {}): Promise<any> =>
    client.call(imageService[name], request, 20_000);
  /** All messages of a call that streams its answer. */
  const streamed = async (
    name: Extract<keyof typeof runtimeService | keyof typeof imageService, `Stream${string}`>,
    request: object,
  ): Promise<any[]> => {
    const raw = new Client(`unix:${socket}`, credentials.createInsecure());
    const { path, requestSerialize, responseDeserialize } = { ...runtimeService, ...imageService }[name];
    try {
      return await raw
        .makeServerStreamRequest(path, requestSerialize, responseDeserialize, request)
        .toArray();
    } finally {
      raw.close();
    }
  };
  const podContainer = async () =>
    (await call('ListContainers', { filter: { labelSelector: { 'io.kubernetes.pod.name': 'web' } } }))
      .containers[0];

  it('says what it is', async () => {
    const version = await call('Version');
    assert.equal(version.runtimeName, 'keelson');
    assert.equal(version.runtimeApiVersion, 'v1');
    const { status } = await call('Status');
    assert.deepEqual(
      status.conditions.map(({ type, status: is }: any) => [type, is]),
      [
        ['RuntimeReady', true],
        ['NetworkReady', true],
      ],
    );
  });

  it("shows the cluster's pods and their containers", async () => {
    const { items } = await call('ListPodSandbox', { filter: { labelSelector: { app: 'web' } } });
    assert.equal(items.length, 1);
    assert.equal(items[0].metadata.name, 'web');
    assert.equal(items[0].annotations.note, 'n');
    const { status } = await call('PodSandboxStatus', { podSandboxId: items[0].id });
    assert.equal(
      status.network.ip,
      await cluster.kubectl('get', 'pod', 'web', '-o', 'jsonpath={.status.podIP}'),
    );
    const container = await podContainer();
    assert.equal(container.state, Cri.ContainerState.CONTAINER_RUNNING);
    assert.equal(container.image.image, IMAGE);
    const shown = await call('ContainerStatus', { containerId: container.id.slice(0, 12), verbose: true });
    assert.match(readFileSync(shown.status.logPath, 'utf8'), /stdout F hello\n/);
    assert.ok(JSON.parse(shown.info.info).pid > 0);
    const { stats } = await call('ContainerStats', { containerId: container.id });
    assert.ok(Number(stats.memory.workingSetBytes.value) > 0);
    const pods = await call('ListPodSandboxStats', { filter: { labelSelector: { app: 'web' } } });
    assert.equal(pods.stats[0].linux.network.defaultInterface.name, 'eth0');
  });

  it('gives lists in parts', async () => {
    const filter = { labelSelector: { app: 'web' } };
    const [{ podSandboxes }] = await streamed('StreamPodSandboxes', { filter });
    assert.deepEqual(podSandboxes, (await call('ListPodSandbox', { filter })).items);
    const container = await podContainer();
    const [{ containers }] = await streamed('StreamContainers', { filter: { id: container.id } });
    assert.deepEqual(containers, [container]);
    const [{ images }] = await streamed('StreamImages', {});
    assert.deepEqual(images, (await image('ListImages')).images);
    const none = { filter: { id: 'none' } };
    assert.deepEqual(await streamed('StreamContainers', none), []);
    const [{ containerStats }] = await streamed('StreamContainerStats', { filter: { id: container.id } });
    assert.equal(containerStats.length, 1);
    const [{ podSandboxStats }] = await streamed('StreamPodSandboxStats', { filter });
    assert.equal(podSandboxStats[0].attributes.metadata.name, 'web');
  });

  it("leaves the cluster's pods to the cluster", async () => {
    const { id, podSandboxId } = await podContainer();
    await assert.rejects(call('StopContainer', { containerId: id }), /belongs to the cluster/);
    await assert.rejects(call('RemovePodSandbox', { podSandboxId }), /belongs to the cluster/);
  });

  it('runs commands', async () => {
    const { id } = await podContainer();
    const done = await call('ExecSync', {
      containerId: id,
      cmd: ['sh', '-c', 'echo out; echo err >&2; exit 3'],
    });
    assert.deepEqual([done.stdout.toString(), done.stderr.toString(), done.exitCode], ['out\n', 'err\n', 3]);
    await assert.rejects(
      call('ExecSync', { containerId: id, cmd: ['sleep', '100'], timeout: 1 }),
      /DeadlineExceeded.*timeout 1s exceeded/,
    );
    await assert.rejects(call('ExecSync', { containerId: 'none', cmd: ['true'] }), /NotFound/);
  });

  it('gives the address of a stream for one use', async () => {
    const { id } = await podContainer();
    const { url } = await call('Exec', { containerId: id, cmd: ['cat'], stdin: true, stdout: true });
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/exec\/[0-9a-f]{32}$/);
    const stream = new WebSocket(url.replace('http', 'ws'), 'v5.channel.k8s.io');
    let output = '';
    const ended = new Promise<string>((resolve, reject) => {
      stream.on('error', reject);
      stream.on('message', (data: Buffer) => {
        if (data[0] === 1) output += data.subarray(1);
        if (data[0] === 3) resolve(data.subarray(1).toString());
      });
    });
    await new Promise((resolve) => stream.once('open', resolve));
    stream.send(Buffer.from('\0through'));
    stream.send(Buffer.from([255, 0]));
    assert.equal(JSON.parse(await ended).status, 'Success');
    assert.equal(output, 'through');
    stream.terminate();
    const again = new WebSocket(url.replace('http', 'ws'), 'v5.channel.k8s.io');
    const refusal = await new Promise<Error>((resolve) => again.once('error', resolve));
    assert.match(refusal.message, /404/);
  });

  it('lists images, and gives none for a name that it does not have', async () => {
    const { images } = await image('ListImages');
    assert.ok(images.some(({ repoTags }: any) => repoTags.includes(IMAGE)));
    assert.match((await image('ImageStatus', { image: { image: IMAGE } })).image.id, /^sha256:/);
    assert.equal((await image('ImageStatus', { image: { image: 'none.test/none' } })).image, null);
    const { imageFilesystems } = await image('ImageFsInfo');
    assert.ok(Number(imageFilesystems[0].usedBytes.value) > 0);
  });

  it('runs pods of its own, which the agent and its restart leave alone', async () => {
    const events: string[] = [];
    const watcher = new Client(`unix:${socket}`, credentials.createInsecure());
    const { path, requestSerialize, responseDeserialize } = runtimeService.GetContainerEvents;
    const stream: ClientReadableStream<any> = watcher.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      {},
    );
    stream.on('error', () => {});
    stream.on('data', ({ containerId, containerEventType }) =>
      events.push(`${containerId} ${Cri.ContainerEventType[containerEventType]}`),
    );
    const { podSandboxId } = await call('RunPodSandbox', { config: SANDBOX, runtimeHandler: 'keelson' });
    const script = 'echo begun; trap "exit 7" TERM; while true; do sleep 0.1; done';
    const config = {
      ...{ metadata: { name: 'c' }, image: { image: IMAGE }, command: ['sh', '-c', script] },
      ...{ logPath: 'c/0.log', labels: { which: 'c' }, envs: [{ key: 'A', value: 'b' }] },
      linux: {
        resources: { memoryLimitInBytes: 64 << 20 },
        securityContext: { runAsUser: { value: 1234 }, supplementalGroups: [7] },
      },
    };
    const { containerId } = await call('CreateContainer', { podSandboxId, config, sandboxConfig: SANDBOX });
    const state = async () => (await call('ContainerStatus', { containerId })).status;
    assert.equal((await state()).state, Cri.ContainerState.CONTAINER_CREATED);
    await call('StartContainer', { containerId });
    assert.equal((await state()).state, Cri.ContainerState.CONTAINER_RUNNING);
    await eventually('its log', async () => readFileSync(join(LOGS, 'c/0.log'), 'utf8').includes('begun'));
    const run = async (...cmd: string[]) =>
      (await call('ExecSync', { containerId, cmd })).stdout.toString().trim();
    assert.equal(await run('sh', '-c', 'echo $(id -u) $(hostname) $A'), '1234 made-here b');
    assert.equal(await run('cat', '/etc/resolv.conf'), 'nameserver 192.0.2.1\nsearch example.test');
    const { status } = await call('PodSandboxStatus', { podSandboxId });
    assert.match(await run('ip', 'addr', 'show', 'eth0'), new RegExp(`inet ${status.network.ip}/`));

    process.kill(cluster.pid('agent'), 'SIGKILL');
    await cluster.restart('agent');
    assert.equal((await state()).state, Cri.ContainerState.CONTAINER_RUNNING);
    const { items } = await call('ListPodSandbox', { filter: { labelSelector: { made: 'yes' }, state: {} } });
    assert.deepEqual(
      items.map(({ id }: any) => id),
      [podSandboxId],
    );
    assert.doesNotMatch(await cluster.kubectl('get', 'pods', '-A'), /made/);

    await call('UpdateContainerResources', { containerId, linux: { memoryLimitInBytes: 32 << 20 } });
    assert.equal(Number((await state()).resources.linux.memoryLimitInBytes), 32 << 20);
    await call('StopContainer', { containerId, timeout: 10 });
    const ended = await state();
    assert.deepEqual(
      [ended.state, ended.exitCode, ended.reason],
      [Cri.ContainerState.CONTAINER_EXITED, 7, 'Error'],
    );
    await call('RemoveContainer', { containerId });
    await assert.rejects(state(), /NotFound/);
    await call('StopPodSandbox', { podSandboxId });
    const stopped = await call('PodSandboxStatus', { podSandboxId });
    assert.equal(stopped.status.state, Cri.PodSandboxState.SANDBOX_NOTREADY);
    await call('RemovePodSandbox', { podSandboxId });
    await call('RemovePodSandbox', { podSandboxId });
    await assert.rejects(call('PodSandboxStatus', { podSandboxId }), /NotFound/);
    assert.deepEqual(events.slice(0, 2), [
      `${containerId} CONTAINER_CREATED_EVENT`,
      `${containerId} CONTAINER_STARTED_EVENT`,
    ]);
    stream.cancel();
    watcher.close();
  });

  it('gives containers images, devices, ids of their own, and paths that they can not see or write', async () => {
    const mapping = [{ hostId: 2_000_000, containerId: 0, length: 65_536 }];
    const usernsOptions = { mode: Cri.NamespaceMode.POD, uids: mapping, gids: mapping };
    const metadata = { name: 'apart', namespace: 'outside', uid: 'u2' };
    const sandbox = { metadata, linux: { securityContext: { namespaceOptions: { pid: 1, usernsOptions } } } };
    const { podSandboxId } = await call('RunPodSandbox', { config: sandbox });
    const create = (more: object) =>
      call('CreateContainer', {
        podSandboxId,
        config: {
          ...{ metadata: { name: 'c' }, image: { image: IMAGE }, command: ['sleep', '100000'] },
          ...more,
        },
      });
    const volume = { containerPath: '/volume', readonly: true, image: { image: IMAGE } };
    const wrong: [object, RegExp][] = [
      [{ ...volume, readonly: false }, /image mounts must be read-only/],
      [{ ...volume, imageSubPath: 'none' }, /the image has no "none"/],
      [{ ...volume, image: { image: 'none.test/none' } }, /NotFound/],
      [
        { containerPath: '/h', hostPath: '/tmp', recursiveReadOnly: true },
        /conflicts with a read-write mount/,
      ],
    ];
    for (const [mount, message] of wrong) await assert.rejects(create({ mounts: [mount] }), message);
    const { containerId } = await create({
      mounts: [volume, { ...volume, containerPath: '/part', imageSubPath: 'bin' }],
      devices: [{ hostPath: '/dev/zero', containerPath: '/dev/nought', permissions: 'r' }],
      linux: { securityContext: { maskedPaths: ['/etc/passwd'], readonlyPaths: ['/tmp'] } },
    });
    await call('StartContainer', { containerId });
    const run = async (script: string) => {
      const done = await call('ExecSync', { containerId, cmd: ['sh', '-c', script] });
      return done.stdout.toString().trim() + done.stderr.toString().trim();
    };
    assert.equal(await run('cat /proc/self/uid_map | tr -s " "'), '0 2000000 65536');
    assert.equal(await run('ls /volume/bin/busybox /part/busybox'), '/part/busybox\n/volume/bin/busybox');
    assert.match(await run('touch /volume/x'), /Read-only file system/);
    assert.equal(await run('head -c 3 /dev/nought | wc -c'), '3');
    assert.equal(await run('cat /etc/passwd'), '');
    assert.match(await run('touch /tmp/x'), /Read-only file system/);
    const { status } = await call('ContainerStatus', { containerId });
    assert.deepEqual(
      status.mounts.map(({ containerPath, image: { imageRef } }: any) => [containerPath, imageRef]),
      [
        ['/volume', status.imageId],
        ['/part', status.imageId],
      ],
    );
    await call('RemovePodSandbox', { podSandboxId });
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(podSandboxId));
  });

  it('leads ports of the host to a pod, and streams to its ports', async () => {
    const metadata = { name: 'serving', namespace: 'outside', uid: 'u3' };
    const config = { metadata, portMappings: [{ containerPort: 8080, hostPort: HOST_PORT }] };
    const { podSandboxId } = await call('RunPodSandbox', { config });
    const container = { metadata: { name: 'c' }, image: { image: IMAGE } };
    const { containerId } = await call('CreateContainer', { podSandboxId, config: container });
    await call('StartContainer', { containerId });
    const get = async (port: number) => (await fetch(`http://127.0.0.1:${port}/healthy`)).text();
    await eventually('its port', async () => (await get(HOST_PORT).catch(() => '')) === 'ok');

    const { url } = await call('PortForward', { podSandboxId, port: [8080] });
    const stream = new WebSocket(`${url.replace('http', 'ws')}?port=8080`, 'v4.channel.k8s.io');
    const parts: string[] = [];
    stream.on('message', (data: Buffer) => data[0] === 0 && parts.push(data.subarray(1).toString()));
    await new Promise((resolve) => stream.once('open', resolve));
    stream.send(Buffer.from('\0GET /healthy HTTP/1.0\r\n\r\n'));
    await eventually('the answer', async () => parts.join('').endsWith('ok'));
    stream.terminate();
    await call('RemovePodSandbox', { podSandboxId });
    await assert.rejects(get(HOST_PORT));
  });

  it('says what it can not do', async () => {
    const config = { metadata: { name: 'x', namespace: 'y', uid: 'z' } };
    await assert.rejects(
      call('RunPodSandbox', { config, runtimeHandler: 'kata' }),
      /no runtime for "kata" is configured/,
    );
    await assert.rejects(call('RunPodSandbox', {}), /InvalidArgument/);
    await assert.rejects(call('CreateContainer', { podSandboxId: 'none', config: {} }), /NotFound/);
    const { items } = await call('ListPodSandbox');
    assert.ok(items.every(({ metadata }: any) => metadata.name !== 'x'));
  });
});
