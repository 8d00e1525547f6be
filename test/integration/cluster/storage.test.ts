import assert from 'node:assert/strict';
import { existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { type Kubectl, run } from '../../fixtures/tools.js';

const pod = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { terminationGracePeriodSeconds: 1, ...spec },
});
const sleeper = (more: object = {}) => ({
  name: 'c',
  image: 'keelson.dev/demo:1',
  command: ['sleep', '86400'],
  ...more,
});
const claim = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Mi' } }, ...spec },
});

describe('persistent storage', function () {
  this.timeout(180_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const apply = async (...objects: object[]) => {
    const items = { apiVersion: 'v1', kind: 'List', items: objects };
    const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(items) });
    assert.equal(code, 0, stderr);
  };
  const ready = (name: string) => kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s');
  const get = (what: string, path: string) => kubectl('get', ...what.split(' '), '-o', `jsonpath={${path}}`);
  const eventOf = (name: string, reason: string, message: RegExp) =>
    eventually(`the event ${reason} of ${name}`, async () => {
      const selector = `involvedObject.name=${name},reason=${reason}`;
      const messages = await kubectl(
        'get',
        'events',
        `--field-selector=${selector}`,
        '-o',
        'jsonpath={.items[*].message}',
      );
      return message.test(messages);
    });

  before(async () => {
    cluster = await startTestCluster('--nodes', '2');
    kubectl = cluster.kubectl;
  });
  after(() => cluster?.down());

  it('brings a pod back to the node that has its data, also after the agent was killed', async () => {
    const mount = { volumeMounts: [{ name: 'data', mountPath: '/data' }] };
    const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: 'sticky' } }];
    await apply(claim('sticky'), pod('first', { containers: [sleeper(mount)], volumes }));
    await ready('first');
    const node = await get('pod first', '.spec.nodeName');
    await kubectl('exec', 'first', '--', 'sh', '-c', 'echo kept > /data/f');
    await kubectl('delete', 'pod', 'first');
    await apply(pod('second', { containers: [sleeper(mount)], volumes }));
    await ready('second');
    assert.equal(await get('pod second', '.spec.nodeName'), node);
    assert.equal(await kubectl('exec', 'second', '--', 'cat', '/data/f'), 'kept\n');
    process.kill(cluster.pid('agent'), 'SIGKILL');
    process.kill(cluster.pid('server'), 'SIGKILL');
    await cluster.restart('server');
    await eventually(
      'the data to be there',
      async () => (await kubectl('exec', 'second', '--', 'cat', '/data/f')) === 'kept\n',
    );
    await apply(
      pod('elsewhere', {
        containers: [sleeper()],
        volumes,
        nodeSelector: { 'kubernetes.io/hostname': node === 'node-1' ? 'node-2' : 'node-1' },
      }),
    );
    await eventOf(
      'elsewhere',
      'FailedScheduling',
      /1 node\(s\) didn't match PersistentVolume's node affinity/,
    );
    await kubectl('delete', 'pod', 'second', 'elsewhere');
    await kubectl('delete', 'pvc', 'sticky');
  });

  it('makes the claim of a generic ephemeral volume, which goes with its pod', async () => {
    const template = { metadata: { labels: { kind: 'scratch' } }, spec: claim('x').spec };
    await apply(
      pod('scratch', {
        securityContext: { fsGroup: 1234, runAsUser: 1000 },
        containers: [sleeper({ volumeMounts: [{ name: 'tmp', mountPath: '/scratch' }] })],
        volumes: [{ name: 'tmp', ephemeral: { volumeClaimTemplate: template } }],
      }),
    );
    await ready('scratch');
    assert.equal(await get('pvc scratch-tmp', '.metadata.labels.kind'), 'scratch');
    assert.equal(await get('pvc scratch-tmp', '.metadata.ownerReferences[0].kind'), 'Pod');
    assert.equal(
      (await kubectl('exec', 'scratch', '--', 'stat', '-c', '%g %a', '/scratch')).trim(),
      '1234 2777',
    );
    await kubectl('delete', 'pod', 'scratch');
    await kubectl('wait', '--for=delete', 'pvc/scratch-tmp', '--timeout=30s');
    await eventually(
      'the volumes to be gone',
      async () => (await get('pv', '.items[*].metadata.name')) === '',
    );
    for (const node of ['node-1', 'node-2']) {
      const folder = join(cluster.dataDir, 'nodes', node, 'local-path');
      await eventually(
        `the folders of ${node} to be gone`,
        async () => !existsSync(folder) || readdirSync(folder).length === 0,
      );
    }
  });

  it('lets one pod only use a claim of ReadWriteOncePod', async () => {
    const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: 'single' } }];
    const containers = [sleeper({ volumeMounts: [{ name: 'data', mountPath: '/data' }] })];
    await apply(claim('single', { accessModes: ['ReadWriteOncePod'] }), pod('one', { containers, volumes }));
    await ready('one');
    await apply(pod('two', { containers, volumes }));
    await eventOf(
      'two',
      'FailedScheduling',
      /node\(s\) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use/,
    );
    await kubectl('delete', 'pod', 'one');
    await ready('two');
    await kubectl('delete', 'pod', 'two');
    await kubectl('delete', 'pvc', 'single');
  });

  it('gives containers block volumes as devices, and no other device', async function () {
    const file = join(cluster.dataDir, 'disk');
    writeFileSync(file, '');
    truncateSync(file, 4 << 20);
    const loop = await run('losetup', ['--find', '--show', file]);
    // Machines without loop devices have no other block device to spare.
    if (loop.code !== 0) this.skip();
    const device = loop.stdout.trim();
    try {
      const node = await get('nodes', '.items[0].metadata.name');
      const spec = { volumeMode: 'Block', storageClassName: '', accessModes: ['ReadWriteOnce'] };
      await apply(
        {
          apiVersion: 'v1',
          kind: 'PersistentVolume',
          metadata: { name: 'disk' },
          spec: {
            ...spec,
            capacity: { storage: '4Mi' },
            local: { path: device },
            nodeAffinity: {
              required: {
                nodeSelectorTerms: [
                  { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
                ],
              },
            },
          },
        },
        claim('disk', { ...spec, resources: { requests: { storage: '4Mi' } } }),
      );
      const withDisk = (name: string, readOnly: boolean) =>
        pod(name, {
          securityContext: { runAsUser: 0 },
          containers: [sleeper({ volumeDevices: [{ name: 'disk', devicePath: '/dev/xvda' }] })],
          volumes: [{ name: 'disk', persistentVolumeClaim: { claimName: 'disk', readOnly } }],
        });
      await apply(withDisk('writes', false));
      await ready('writes');
      const sh = (name: string, script: string) => kubectl.try(['exec', name, '--', 'sh', '-c', script]);
      const written = await sh('writes', 'echo hello > /dev/xvda && sync && head -c 6 /dev/xvda');
      assert.equal(written.stdout, 'hello\n', written.stderr);
      assert.equal(
        (await kubectl('exec', 'writes', '--', 'stat', '-c', '%F', '/dev/xvda')).trim(),
        'block special file',
      );
      // Another of the same kind can be made, but not used.
      const other = await sh('writes', 'mknod /dev/other b 7 250 && head -c 1 /dev/other');
      assert.match(other.stderr, /Operation not permitted/);
      await kubectl('delete', 'pod', 'writes');
      await apply(withDisk('reads', true));
      await ready('reads');
      assert.equal((await sh('reads', 'head -c 6 /dev/xvda')).stdout, 'hello\n');
      assert.match((await sh('reads', 'echo no > /dev/xvda')).stderr, /Operation not permitted/);
      await kubectl('delete', 'pod', 'reads');
    } finally {
      await run('losetup', ['--detach', device]);
    }
  });

  it('mounts the files of an image, for reading only', async () => {
    const volumeMounts = [
      { name: 'all', mountPath: '/image' },
      { name: 'all', mountPath: '/programs', subPath: 'bin' },
    ];
    const volumes = [{ name: 'all', image: { reference: 'keelson.dev/demo:1' } }];
    await apply(pod('image', { containers: [sleeper({ volumeMounts })], volumes }));
    await ready('image');
    assert.match(await kubectl('exec', 'image', '--', 'ls', '/image/bin', '/programs'), /\bsh\n.*\bsh\n/s);
    const write = await kubectl.try(['exec', 'image', '--', 'touch', '/image/file']);
    assert.match(write.stderr, /Read-only file system/);
    await kubectl('delete', 'pod', 'image');
  });

  it('says what a pod waits for', async () => {
    const uses = (name: string) => ({
      containers: [sleeper()],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: name } }],
    });
    await apply(pod('lacks', uses('nowhere')));
    await eventOf(
      'lacks',
      'FailedScheduling',
      /^0\/2 nodes are available: persistentvolumeclaim "nowhere" not found\. no new claims to deallocate, preemption: 0\/2 nodes are available: 2 Preemption is not helpful for scheduling\.$/,
    );
    await apply(claim('unbound', { storageClassName: '' }), pod('waits', uses('unbound')));
    await eventOf('waits', 'FailedScheduling', /pod has unbound immediate PersistentVolumeClaims/);
    await eventOf(
      'unbound',
      'FailedBinding',
      /^no persistent volumes available for this claim and no storage class is set$/,
    );
    await apply(claim('classless', { storageClassName: 'none-such' }));
    await eventOf('classless', 'ProvisioningFailed', /^storageclass.storage.k8s.io "none-such" not found$/);
    await kubectl('delete', 'pod', 'lacks', 'waits');
    await kubectl('delete', 'pvc', 'unbound', 'classless');
  });
});
