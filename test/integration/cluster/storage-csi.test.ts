import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { TestDriver } from '../../fixtures/csi-driver.js';
import { register } from '../../fixtures/registry.js';
import type { Kubectl } from '../../fixtures/tools.js';

const NAME = 'csi.test.keelson.dev';

/** The driver runs beside the cluster; its provisioner and attacher are played by the test, through the API. */
describe('storage drivers', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  let driver: TestDriver;
  let data: string;
  const apply = async (...items: object[]) => {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: list });
    assert.equal(code, 0, stderr);
  };
  const get = (what: string, path: string) => kubectl('get', ...what.split(' '), '-o', `jsonpath={${path}}`);
  const ready = (name: string) => kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=40s');
  const eventOf = (name: string, reason: string, message: RegExp) =>
    eventually(`the event ${reason} of ${name}`, async () => {
      const selector = `involvedObject.name=${name},reason=${reason}`;
      return message.test(
        await kubectl('get', 'events', `--field-selector=${selector}`, '-o', 'jsonpath={.items[*].message}'),
      );
    });
  const pod = (name: string, volume: object, security: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      securityContext: security,
      containers: [
        {
          name: 'c',
          image: 'keelson.dev/demo:1',
          command: ['sleep', '86400'],
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
      ],
      volumes: [{ name: 'data', ...volume }],
    },
  });
  const claimed = (claimName: string) => ({ persistentVolumeClaim: { claimName } });
  const csiDriver = (spec: object) => ({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSIDriver',
    metadata: { name: NAME },
    spec,
  });
  /** What csi-provisioner does: a volume for the claim that asks this driver for one. */
  const provision = async (claim: string, spec: object = {}, more: object = {}) => {
    const asked = await eventually('the claim to ask', async () => {
      const found = JSON.parse(await kubectl('get', 'pvc', claim, '-o', 'json'));
      return found.metadata.annotations?.['volume.kubernetes.io/storage-provisioner'] === NAME && found;
    });
    await apply({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `pv-${claim}`, annotations: { 'pv.kubernetes.io/provisioned-by': NAME } },
      spec: {
        capacity: asked.spec.resources.requests,
        accessModes: asked.spec.accessModes,
        storageClassName: 'csi',
        persistentVolumeReclaimPolicy: 'Delete',
        claimRef: {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          namespace: 'default',
          name: claim,
          uid: asked.metadata.uid,
        },
        csi: { driver: NAME, volumeHandle: `handle-${claim}`, volumeAttributes: { tier: 'fast' }, ...spec },
        ...more,
      },
    });
  };
  const claim = (name: string) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'csi',
      resources: { requests: { storage: '1Gi' } },
    },
  });
  const attachments = () => get('volumeattachments', '.items[*].spec.source.persistentVolumeName');

  before(async () => {
    data = mkdtempSync(join(tmpdir(), 'keelson-test-csi-'));
    register({ kind: 'dir', path: data });
    cluster = await startTestCluster();
    kubectl = cluster.kubectl;
    const root = join(cluster.dataDir, 'nodes', cluster.node, 'kubelet');
    driver = new TestDriver({ name: NAME, root, data, nodeId: 'test-node-id', maxVolumes: 5 });
    await driver.start();
    await apply(
      csiDriver({
        attachRequired: true,
        podInfoOnMount: true,
        fsGroupPolicy: 'File',
        volumeLifecycleModes: ['Persistent', 'Ephemeral'],
        tokenRequests: [{ audience: 'vault' }],
      }),
      {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: 'csi' },
        provisioner: NAME,
        allowVolumeExpansion: true,
      },
    );
  });
  after(async () => {
    driver?.stop();
    await cluster?.down();
    rmSync(data, { recursive: true, force: true });
  });

  it('registers, and the cluster knows of it', async () => {
    await eventually('the driver to be registered', async () => driver.registered);
    assert.equal(
      await get(`csinode ${cluster.node}`, '.spec.drivers[0]'),
      `{"allocatable":{"count":5},"name":"${NAME}","nodeID":"test-node-id","topologyKeys":["topology.test/rack"]}`,
    );
    assert.equal(await get(`csinode ${cluster.node}`, '.metadata.ownerReferences[0].kind'), 'Node');
    const node = JSON.parse(await kubectl('get', 'node', cluster.node, '-o', 'json'));
    assert.equal(node.metadata.labels['topology.test/rack'], 'r1');
    assert.equal(node.metadata.annotations['csi.volume.kubernetes.io/nodeid'], `{"${NAME}":"test-node-id"}`);
  });

  it('attaches, stages and publishes a volume, and takes it back in reverse', async () => {
    await kubectl('create', 'secret', 'generic', 'stage', '--from-literal=key=open');
    await apply(claim('db'), pod('p', claimed('db'), { fsGroup: 4321 }));
    await provision('db', { nodeStageSecretRef: { namespace: 'default', name: 'stage' } });
    const attachment = await eventually('the attachment', async () =>
      get('volumeattachments', '.items[0].metadata.name'),
    );
    assert.equal(await get(`volumeattachment ${attachment}`, '.spec.attacher'), NAME);
    const inUse = `kubernetes.io/csi/${NAME}^handle-db`;
    await eventually(
      'the node to say that it is in use',
      async () => (await get(`node ${cluster.node}`, '.status.volumesInUse[*]')) === inUse,
    );
    assert.deepEqual(driver.calls, []);
    const status = { attached: true, attachmentMetadata: { devicePath: '/dev/test' } };
    await kubectl(
      'patch',
      'volumeattachment',
      attachment,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status }),
    );
    await ready('p');
    await eventOf('p', 'SuccessfulAttachVolume', /^AttachVolume.Attach succeeded for volume "pv-db" $/);
    assert.deepEqual(driver.calls.splice(0), ['NodeStageVolume handle-db', 'NodePublishVolume handle-db']);
    const staged = driver.staged.get('handle-db')!;
    assert.deepEqual({ ...staged.publishContext }, { devicePath: '/dev/test' });
    assert.deepEqual({ ...staged.secrets }, { key: 'open' });
    assert.deepEqual({ ...staged.volumeContext }, { tier: 'fast' });
    assert.match(
      staged.stagingTargetPath!,
      new RegExp(`/plugins/kubernetes.io/csi/${NAME}/[0-9a-f]{64}/globalmount$`),
    );
    const [published] = [...driver.published.values()];
    const uid = await get('pod p', '.metadata.uid');
    assert.match(published!.targetPath!, new RegExp(`/pods/${uid}/volumes/kubernetes.io~csi/pv-db/mount$`));
    const { 'csi.storage.k8s.io/serviceAccount.tokens': tokens, ...context } = {
      ...published!.volumeContext,
    };
    assert.ok(JSON.parse(tokens!).vault.token);
    assert.deepEqual(context, {
      tier: 'fast',
      'csi.storage.k8s.io/pod.name': 'p',
      'csi.storage.k8s.io/pod.namespace': 'default',
      'csi.storage.k8s.io/pod.uid': uid,
      'csi.storage.k8s.io/serviceAccount.name': 'default',
      'csi.storage.k8s.io/ephemeral': 'false',
    });
    assert.equal((await kubectl('exec', 'p', '--', 'stat', '-c', '%g', '/data')).trim(), '4321');
    await kubectl('exec', 'p', '--', 'sh', '-c', 'echo hello > /data/file');
    assert.equal(readFileSync(join(data, 'handle-db/file'), 'utf8'), 'hello\n');
    assert.equal(await get(`node ${cluster.node}`, '.status.volumesAttached[*].name'), inUse);

    await kubectl('delete', 'pod', 'p');
    assert.deepEqual(driver.calls.splice(0), [
      'NodeUnpublishVolume handle-db',
      'NodeUnstageVolume handle-db',
    ]);
    await eventually('the attachment to go', async () => (await attachments()) === '');
    assert.equal(await get(`node ${cluster.node}`, '.status.volumesInUse'), '');
    assert.ok(existsSync(join(data, 'handle-db/file')));
  });

  it('says why a volume can not be mounted, and goes on when it can', async () => {
    await kubectl('delete', 'csidriver', NAME);
    await apply(
      csiDriver({
        attachRequired: false,
        volumeLifecycleModes: ['Persistent', 'Ephemeral'],
        podInfoOnMount: true,
      }),
    );
    driver.refuse = 'no such disk';
    await apply(pod('q', claimed('db')));
    await eventOf(
      'q',
      'FailedMount',
      /^MountVolume.MountDevice failed for volume "pv-db" : rpc error: code = Internal desc = no such disk/,
    );
    driver.refuse = undefined;
    await ready('q');
    assert.equal(await kubectl('exec', 'q', '--', 'cat', '/data/file'), 'hello\n');
    assert.equal(await attachments(), '');
  });

  it('lets a volume grow while it is used', async () => {
    driver.calls.splice(0);
    driver.refuse = 'no room';
    const storage = '2Gi';
    const grow = (what: string, spec: object) =>
      kubectl('patch', ...what.split(' '), '--type=merge', '-p', JSON.stringify({ spec }));
    await grow('pvc db', { resources: { requests: { storage } } });
    // What csi-resizer does.
    await grow('pv pv-db', { capacity: { storage } });
    await eventOf(
      'q',
      'VolumeResizeFailed',
      /^NodeExpandVolume.NodeExpandVolume failed for volume "pv-db" : rpc error: code = Internal desc = no room/,
    );
    assert.equal(await get('pvc db', '.status.capacity.storage'), '1Gi');
    driver.refuse = undefined;
    await eventually(
      'the claim to have grown',
      async () => (await get('pvc db', '.status.capacity.storage')) === storage,
    );
    await eventOf(
      'q',
      'FileSystemResizeSuccessful',
      new RegExp(`^MountVolume.NodeExpandVolume succeeded for volume "pv-db" ${cluster.node}`),
    );
    assert.deepEqual(driver.calls.splice(0), ['NodeExpandVolume handle-db 2147483648']);
  });

  it('tells what the driver says of the use of a volume', async () => {
    const summary = await kubectl('get', '--raw', `/api/v1/nodes/${cluster.node}/proxy/stats/summary`);
    const { volume } = JSON.parse(summary).pods.find((one: any) => one.podRef.name === 'q');
    const { usedBytes, capacityBytes, availableBytes } = volume.find((one: any) => one.name === 'data');
    assert.deepEqual([usedBytes, capacityBytes, availableBytes], [10, 1000, 990]);
  });

  it('publishes a volume again where the driver wants that', async () => {
    await kubectl('patch', 'csidriver', NAME, '--type=merge', '-p', '{"spec":{"requiresRepublish":true}}');
    let count = 0;
    await eventually('a second publication', async () => {
      // The node may not have heard of what the driver wants yet.
      await kubectl('label', 'pod', 'q', `count=${++count}`, '--overwrite');
      return driver.calls.includes('NodePublishVolume handle-db');
    });
    assert.equal(await kubectl('exec', 'q', '--', 'cat', '/data/file'), 'hello\n');
    await kubectl('patch', 'csidriver', NAME, '--type=merge', '-p', '{"spec":{"requiresRepublish":false}}');
  });

  it('keeps a volume of one pod from others', async () => {
    const single = claim('single');
    single.spec.accessModes = ['ReadWriteOncePod'];
    await apply(single, pod('first', claimed('single')));
    await provision('single');
    await ready('first');
    const second = pod('second', claimed('single'));
    await apply({ ...second, spec: { ...second.spec, nodeName: cluster.node } });
    await eventOf(
      'second',
      'FailedMount',
      /^MountVolume.SetUp failed for volume "pv-single" : volume uses the ReadWriteOncePod access mode and is already in use by another pod/,
    );
    await kubectl('delete', 'pod', 'first', 'second');
    await kubectl('delete', 'pvc', 'single');
  });

  it('keeps what is mounted when the agent is killed, and unmounts it later', async () => {
    process.kill(cluster.pid('agent'), 'SIGKILL');
    process.kill(cluster.pid('server'), 'SIGKILL');
    driver.registered = undefined;
    await cluster.restart('agent');
    await eventually('the driver to be registered again', async () => driver.registered);
    await eventually(
      'the data',
      async () => (await kubectl('exec', 'q', '--', 'cat', '/data/file')) === 'hello\n',
    );
    driver.calls.splice(0);
    await kubectl('delete', 'pod', 'q');
    assert.deepEqual(driver.calls.splice(0), [
      'NodeUnpublishVolume handle-db',
      'NodeUnstageVolume handle-db',
    ]);
  });

  it('mounts volumes that live with their pod', async () => {
    await apply(pod('inline', { csi: { driver: NAME, volumeAttributes: { size: '1' } } }));
    await ready('inline');
    const context = JSON.parse(await kubectl('exec', 'inline', '--', 'cat', '/data/context.json'));
    assert.equal(context.size, '1');
    assert.equal(context['csi.storage.k8s.io/ephemeral'], 'true');
    await kubectl('delete', 'pod', 'inline');
    assert.equal(driver.published.size, 0);
  });

  it('publishes a block volume, which the container gets as a device', async () => {
    const block = { volumeMode: 'Block' };
    const raw = claim('raw');
    const user = pod('raw', claimed('raw'));
    Object.assign(raw.spec, block);
    Object.assign(user.spec.containers[0]!, {
      volumeMounts: undefined,
      volumeDevices: [{ name: 'data', devicePath: '/dev/raw' }],
    });
    driver.calls.splice(0);
    await apply(raw, user);
    await provision('raw', {}, block);
    await ready('raw');
    const [target, request] = [...driver.published].at(-1)!;
    assert.match(target, /\/plugins\/kubernetes.io\/csi\/volumeDevices\/publish\/pv-raw\/[0-9a-f-]{36}$/);
    assert.ok(request.volumeCapability?.block);
    assert.equal((await kubectl('exec', 'raw', '--', 'stat', '-c', '%t:%T', '/dev/raw')).trim(), '1:3');
    driver.busy = true;
    await kubectl('delete', 'pod', 'raw', '--wait=false');
    await eventually('the volume to be unpublished', async () => !driver.published.has(target));
    // Until it is unstaged it is tried again.
    driver.busy = false;
    await eventually('the volume to be unstaged', async () => !driver.staged.has('handle-raw'));
    assert.deepEqual(
      [...new Set(driver.calls.splice(0))],
      [
        'NodeStageVolume handle-raw',
        'NodePublishVolume handle-raw',
        'NodeUnpublishVolume handle-raw',
        'NodeUnstageVolume handle-raw',
      ],
    );
    await kubectl('wait', '--for=delete', 'pod/raw', '--timeout=30s');
    assert.ok(!existsSync(dirname(target)));
  });

  it("lets a driver's pod mount what the node and other pods see", async () => {
    const root = join(cluster.dataDir, 'nodes', cluster.node, 'kubelet');
    const driverPod = pod('driver', { hostPath: { path: join(root, 'plugins') } }, { runAsUser: 0 });
    Object.assign(driverPod.spec.containers[0]!, {
      securityContext: { privileged: true },
      volumeMounts: [{ name: 'data', mountPath: '/plugins', mountPropagation: 'Bidirectional' }],
    });
    await apply(driverPod);
    await ready('driver');
    await kubectl(
      'exec',
      'driver',
      '--',
      'sh',
      '-c',
      'mkdir /plugins/own && mount -t tmpfs own /plugins/own',
    );
    assert.match(
      readFileSync('/proc/self/mountinfo', 'utf8'),
      new RegExp(` ${root}/plugins/own .* tmpfs own `),
    );
    await kubectl('exec', 'driver', '--', 'umount', '/plugins/own');
    await kubectl('delete', 'pod', 'driver');
  });

  it('leaves attachments alone that others made', async () => {
    const attachment = (name: string) => ({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'VolumeAttachment',
      metadata: { name },
      spec: { attacher: NAME, nodeName: cluster.node, source: { persistentVolumeName: 'none' } },
    });
    await apply(attachment('foreign'));
    await apply(attachment(`csi-${'0'.repeat(64)}`));
    await eventually('its own to go', async () => (await attachments()) === 'none');
    assert.equal(await get('volumeattachments', '.items[*].metadata.name'), 'foreign');
    await kubectl('delete', 'volumeattachment', 'foreign');
  });

  it('is forgotten when its socket goes', async () => {
    driver.stop();
    await eventually(
      'the CSINode to be empty',
      async () => (await get(`csinode ${cluster.node}`, '.spec.drivers')) === '[]',
    );
  });
});
