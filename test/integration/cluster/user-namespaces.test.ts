import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PodSpec } from '#types';
import { startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';

describe('pods with user namespaces', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  const shared = mkdtempSync(join(tmpdir(), 'keelson-test-users-'));

  before(async () => {
    cluster = await startTestCluster();
  });
  after(async () => {
    rmSync(shared, { recursive: true, force: true });
    await cluster?.down();
  });

  async function create(name: string, spec: Partial<PodSpec> = {}, container: object = {}) {
    const root = { securityContext: { runAsUser: 0 }, ...container };
    const pod = shellPod(name, 'sleep 1000', { container: root, spec: { hostUsers: false, ...spec } });
    const { code, stderr } = await cluster.kubectl.try(['create', '-f', '-'], { stdin: JSON.stringify(pod) });
    assert.equal(code, 0, stderr);
    await cluster.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=30s');
  }
  const sh = async (name: string, script: string) =>
    (await cluster.kubectl('exec', name, '--', 'sh', '-c', script)).trim();
  const map = async (name: string) => (await sh(name, 'cat /proc/self/uid_map')).split(/\s+/).map(Number);

  it('have ids of their own, also after a restart of the agent', async () => {
    await create('one');
    await create('two');
    const [one, two] = [await map('one'), await map('two')];
    assert.deepEqual([one[0], one[2], two[0], two[2]], [0, 65_536, 0, 65_536]);
    assert.ok(one[1]! >= 65_536 && two[1]! >= 65_536 && one[1] !== two[1], `${one} ${two}`);
    process.kill(cluster.pid('agent'), 'SIGKILL');
    await cluster.restart('agent');
    assert.deepEqual(await map('one'), one);
    await create('three');
    const [, three] = await map('three');
    assert.ok(three !== one[1] && three !== two[1]);
  });

  it('are root inside only', async () => {
    assert.equal(await sh('one', 'id -u; id -g'), '0\n0');
    const [, base] = await map('one');
    assert.equal(
      await sh('one', 'stat -c %u:%g / /bin/sh /etc/hosts /dev/null /dev/shm /dev/fd'),
      Array(6).fill('0:0').join('\n'),
    );
    assert.equal(
      await sh('one', 'echo x > /made && stat -c %u /made && chown 5:6 /made && stat -c %u:%g /made'),
      '0\n5:6',
    );
    assert.match(await sh('one', 'chown 70000 /made 2>&1 || true'), /Invalid argument/);
    assert.match(
      await sh('one', 'echo 1 > /proc/sys/kernel/panic 2>&1; mount -t tmpfs x /mnt 2>&1 || true'),
      /Read-only|denied|not permitted/i,
    );
    const pid = Number(await sh('one', 'cat /proc/1/stat').then((text) => text.split(' ')[0]));
    assert.equal(pid, 1);
    assert.ok(base! > 0);
  });

  it('find the files of volumes as theirs, and leave them on the host as their own id says', async () => {
    writeFileSync(join(shared, 'host'), 'from the host');
    await cluster.kubectl('create', 'configmap', 'settings', '--from-literal=key=value');
    await cluster.kubectl('create', 'secret', 'generic', 'hidden', '--from-literal=key=secret');
    await create(
      'volumes',
      {
        volumes: [
          { name: 'host', hostPath: { path: shared } },
          { name: 'empty', emptyDir: {} },
          { name: 'settings', configMap: { name: 'settings' } },
          { name: 'hidden', secret: { secretName: 'hidden' } },
          { name: 'image', image: { reference: 'keelson.dev/demo:1' } },
        ],
      },
      {
        volumeMounts: ['host', 'empty', 'settings', 'hidden', 'image'].map((name) => ({
          name,
          mountPath: `/${name}`,
        })),
      },
    );
    assert.equal(
      await sh('volumes', 'stat -c %u /host /host/host /empty; cat /settings/key /hidden/key'),
      '0\n0\n0\nvaluesecret',
    );
    assert.equal(
      await sh('volumes', 'stat -c %u:%g /image /image/bin/busybox; touch /image/x 2>&1 || true'),
      '0:0\n0:0\ntouch: /image/x: Read-only file system',
    );
    const left = readFileSync('/proc/mounts', 'utf8').matchAll(/^\S+ (\/run\/keelson-layers-\S+)/gm);
    assert.deepEqual([...left], []);
    assert.equal(
      await sh('volumes', 'echo x > /host/pod; chown 7:8 /host/pod; echo x > /empty/f; stat -c %u /empty/f'),
      '0',
    );
    const { uid, gid } = statSync(join(shared, 'pod'));
    assert.deepEqual([uid, gid], [7, 8]);
  });

  it('run as another user, with a group for files, and with one PID namespace', async () => {
    await create(
      'user',
      {
        shareProcessNamespace: true,
        securityContext: { fsGroup: 2000 },
        volumes: [{ name: 'v', emptyDir: {} }],
      },
      {
        securityContext: { runAsUser: 1000, runAsGroup: 3000 },
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
      },
    );
    assert.equal(
      await sh('user', 'id -u; id -G; echo x > /v/f; stat -c %u:%g /v/f'),
      '1000\n3000 2000\n1000:2000',
    );
    assert.match(await cluster.kubectl('exec', 'user', '--', 'ps'), /pause/);
  });

  it('can see all of /proc if they ask for it', async () => {
    await create('unmasked', {}, { securityContext: { runAsUser: 0, procMount: 'Unmasked' } });
    assert.doesNotMatch(await sh('unmasked', 'cat /proc/mounts'), /\/proc\/(kcore|sys) /);
    assert.match(await sh('one', 'cat /proc/mounts'), /\/proc\/(kcore|sys) /);
  });

  it('reach the network, and the log of a terminal', async () => {
    assert.match(await sh('one', 'cat /proc/net/route'), /eth0/);
    assert.equal(await sh('one', 'hostname'), 'one');
    assert.match(await sh('one', 'nslookup kubernetes.default.svc.cluster.local 2>&1'), /10\.96\.0\.1/);
  });
});
