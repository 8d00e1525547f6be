import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../src/runtime/native.js';
import type { Mount } from '../../../src/runtime/types.js';
import { register } from '../../fixtures/registry.js';
import { type ContainerChanges, type Fixture, makeFixture } from './fixture.js';

/** What containerd gives: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW … */
const DEFAULT_CAPABILITIES = '00000000a80425fb';

describe('isolation of containers', () => {
  let f: Fixture;
  let sandboxId: string;
  before(async () => {
    f = await makeFixture();
    sandboxId = await f.sandbox();
  });
  after(() => f.close());
  const sh = async (script: string, changes: ContainerChanges = {}) => {
    const { stdout, stderr, status } = await f.run(['sh', '-c', script], { sandboxId, ...changes });
    return { stdout, stderr, code: status.exitCode, oomKilled: status.oomKilled };
  };
  const capabilities = async (changes: ContainerChanges = {}) =>
    Object.fromEntries(
      (await sh('grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status', changes)).stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/:\s+/)),
    );

  it('gives root the default capabilities and filter', async () => {
    assert.deepEqual(await capabilities(), {
      CapInh: '0000000000000000',
      CapPrm: DEFAULT_CAPABILITIES,
      CapEff: DEFAULT_CAPABILITIES,
      CapBnd: DEFAULT_CAPABILITIES,
      CapAmb: '0000000000000000',
      NoNewPrivs: '0',
      Seccomp: '2',
    });
  });

  it('leaves other users none in effect', async () => {
    const caps = await capabilities({ security: { uid: 1000, gid: 1000, noNewPrivileges: true } });
    assert.equal(caps.CapEff, '0000000000000000');
    assert.equal(caps.CapPrm, '0000000000000000');
    assert.equal(caps.CapBnd, DEFAULT_CAPABILITIES);
    assert.equal(caps.NoNewPrivs, '1');
  });

  it('adds and drops capabilities', async () => {
    const bits = async (addCapabilities: string[], dropCapabilities: string[]) =>
      (await capabilities({ security: { addCapabilities, dropCapabilities } })).CapEff;
    assert.equal(await bits(['NET_ADMIN'], []), '00000000a80435fb');
    assert.equal(await bits(['NET_BIND_SERVICE'], ['ALL']), '0000000000000400');
    assert.equal(await bits([], ['ALL']), '0000000000000000');
    const all = readFileSync('/proc/self/status', 'utf8').match(/CapBnd:\s+(\w+)/)![1];
    assert.equal(await bits(['ALL'], []), all);
  });

  it('denies the system calls that reach out of a container', async () => {
    for (const command of ['unshare -m true', 'mount -t tmpfs none /tmp', 'unshare -U true']) {
      const { code, stderr } = await sh(command);
      assert.notEqual(code, 0, command);
      assert.match(stderr, /not permitted|permission denied/, command);
    }
  });

  it('leaves them out with an unconfined profile and the capability', async () => {
    const security = { seccomp: 'unconfined' as const, addCapabilities: ['SYS_ADMIN'] };
    assert.equal((await sh('mount -t tmpfs none /tmp && unshare -m true', { security })).code, 0);
  });

  it('allows more with SYS_ADMIN under the default profile', async () => {
    assert.equal(
      (await sh('mount -t tmpfs none /tmp', { security: { addCapabilities: ['SYS_ADMIN'] } })).code,
      0,
    );
  });

  it("uses a profile of one's own", async () => {
    const path = join(f.dir, 'profile.json');
    writeFileSync(
      path,
      JSON.stringify({
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [
          { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 },
          { names: ['kill'], action: 'SCMP_ACT_ERRNO', args: [{ index: 1, value: 15, op: 'SCMP_CMP_EQ' }] },
        ],
      }),
    );
    const security = { seccomp: { profile: path } };
    const { stderr } = await sh('mkdir /x', { security });
    assert.match(stderr, /No space left/);
    assert.equal((await sh('kill -0 $$ && ! kill -15 $$', { security })).code, 0);
  });

  it('refuses a profile that can not be read', async () => {
    const security = { seccomp: { profile: join(f.dir, 'none.json') } };
    await assert.rejects(sh('true', { security }), { code: 'Invalid' });
  });

  it('masks files of the kernel, and protects others from writing', async () => {
    const { stdout, stderr } = await sh(
      'head -c 1 /proc/kcore | wc -c; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/domainname; touch /sys/x; touch /sys/fs/cgroup/x',
    );
    assert.equal(stdout, '0\n0\n');
    assert.equal(stderr.match(/Read-only file system/g)?.length, 3, stderr);
  });

  it('shows its own cgroup read-only', async () => {
    const { stdout } = await sh(
      'cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max',
      {
        limits: { pids: 17 },
      },
    );
    assert.equal(stdout, '17\n');
  });

  it('makes the root read-only when asked, and volumes not', async () => {
    const folder = join(f.dir, 'volume');
    mkdirSync(folder, { recursive: true });
    const { stderr } = await sh('touch /file; touch /data/ok', {
      security: { readOnlyRoot: true },
      mounts: [{ source: folder, target: '/data', readOnly: false }],
    });
    assert.match(stderr, /\/file: Read-only file system/);
    assert.ok(existsSync(join(folder, 'ok')));
  });

  it('makes read-only mounts read-only, all the way down where that is asked for', async () => {
    const folder = join(f.dir, 'outer');
    mkdirSync(join(folder, 'inner'), { recursive: true });
    await native.mount('none', join(folder, 'inner'), 'tmpfs', 0, '');
    try {
      for (const recursive of [true, false]) {
        const { stderr, stdout } = await sh('touch /data/a; touch /data/inner/b; ls /data/inner', {
          mounts: [{ source: folder, target: '/data', readOnly: true, recursive }],
        });
        assert.equal(stderr.match(/Read-only/g)?.length, recursive ? 2 : 1, stderr);
        assert.equal(stdout, recursive ? '' : 'b\n');
      }
    } finally {
      await native.umount(join(folder, 'inner'), 0);
    }
  });

  it('mounts single files over files, made where missing', async () => {
    const file = join(f.dir, 'hosts');
    writeFileSync(file, 'from the host\n');
    const mount = (target: string): Mount => ({ source: file, target, readOnly: true });
    const { stdout } = await sh('cat /etc/hosts /new/deep/file', {
      mounts: [mount('/etc/hosts'), mount('/new/deep/file')],
    });
    assert.equal(stdout, 'from the host\nfrom the host\n');
  });

  it('never lets a mount target lead out of the root', async () => {
    const outside = join(f.dir, 'outside');
    mkdirSync(outside);
    const layer = f.image.layers.at(-1)!;
    symlinkSync(outside, join(layer, 'escape'));
    symlinkSync(`../../../../../../../../../../..${outside}`, join(layer, 'climb'));
    symlinkSync('/run/elsewhere', join(layer, 'dangling'));
    const file = join(f.dir, 'payload');
    writeFileSync(file, 'payload');
    const { stdout } = await sh(`cat ${outside}/one /climb/two /run/elsewhere/three`, {
      mounts: ['/escape/one', '/climb/two', '/dangling/three'].map((target) => ({
        source: file,
        target,
        readOnly: true,
      })),
    });
    assert.equal(stdout, 'payloadpayloadpayload');
    for (const name of ['one', 'two', 'three']) assert.ok(!existsSync(join(outside, name)));
    assert.ok(!existsSync('/run/elsewhere'));
  });

  it('refuses an image that puts a link in the place of /proc', async () => {
    const layer = f.image.layers.at(-1)!;
    mkdirSync(join(layer, 'fake'));
    const image = { ...f.image, layers: [...f.image.layers] };
    const trick = join(f.dir, 'trick');
    mkdirSync(trick);
    symlinkSync('/fake', join(trick, 'proc'));
    f.image.layers.push(trick);
    try {
      await assert.rejects(sh('true'), /symbolic link in the image is in the place of \/proc/);
    } finally {
      f.image.layers = image.layers;
    }
  });

  it('has the standard devices and may use no others', async () => {
    const { stdout, stderr } = await sh(
      'for d in null zero full random urandom tty ptmx pts/ptmx; do test -c /dev/$d || echo $d; done; readlink /dev/fd;' +
        'head -c 4 /dev/urandom | wc -c; mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg',
    );
    assert.equal(stdout, '/proc/self/fd\n4\n');
    assert.match(stderr, /kmsg'?: Operation not permitted/);
  });

  it('gives devices, also all of a folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keelson-test-devices-'));
    register({ kind: 'dir', path: folder });
    mkdirSync(join(folder, 'below'));
    writeFileSync(join(folder, 'none'), '');
    execFileSync('mknod', [join(folder, 'below/given'), 'c', '10', '229']);
    try {
      const devices = [{ source: folder, target: '/dev/mine', access: 'rw' }];
      const { stdout, stderr } = await sh('find /dev/mine -type c; exec 3<>/dev/mine/below/given', {
        devices,
      });
      assert.equal(stdout, '/dev/mine/below/given\n');
      assert.doesNotMatch(stderr, /not permitted/);
      const node = await sh('mknod /tmp/given c 10 229 && exec 3<>/tmp/given');
      assert.match(node.stderr, /not permitted/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('gives privileged containers everything', async () => {
    const { stdout, code } = await sh(
      'mount -t tmpfs none /tmp && test -c /dev/kmsg && ls /dev | wc -l && grep Seccomp: /proc/self/status && touch /proc/sys/kernel/domainname',
      { security: { privileged: true } },
    );
    assert.equal(code, 0);
    assert.match(stdout, /Seccomp:\s+0/);
  });

  it('says when memory ran out', async () => {
    const { oomKilled, code } = await sh('busybox tail /dev/zero', { limits: { memory: 8 << 20 } });
    assert.deepEqual({ oomKilled, code }, { oomKilled: true, code: 137 });
  });

  it('says so of a child process too', async () => {
    const { oomKilled, code } = await sh('(busybox tail /dev/zero); exit 3', { limits: { memory: 8 << 20 } });
    assert.equal(oomKilled, true);
    assert.ok(code === 3 || code === 137);
  });

  it('limits processes', async () => {
    const { stderr } = await sh('for i in 1 2 3 4 5 6 7 8; do sleep 1 & done', { limits: { pids: 4 } });
    assert.match(stderr, /can't fork/);
  });

  it('limits the pod as a whole', async () => {
    const id = await f.sandbox({ limits: { memory: 8 << 20 } });
    const { status } = await f.run(['busybox', 'tail', '/dev/zero'], { sandboxId: id });
    assert.equal(status.oomKilled, true);
    await f.runtime.removeSandbox(id);
  });

  it("sets the pod's sysctls", async () => {
    const id = await f.sandbox({ sysctls: { 'net.ipv4.ip_local_port_range': '2000 3000' } });
    const { stdout } = await f.run(['cat', '/proc/sys/net/ipv4/ip_local_port_range'], { sandboxId: id });
    assert.equal(stdout.trim().replace(/\s+/, ' '), '2000 3000');
    await f.runtime.removeSandbox(id);
    await assert.rejects(f.sandbox({ sysctls: { 'net.no.such': '1' } }), /set sysctl net.no.such=1/);
  });

  it('shares PIDs in the pod when asked', async () => {
    const id = await f.sandbox({ pid: 'pod' });
    await f.runtime.startContainer(f.config(id, ['sleep', '4321']));
    const { stdout } = await f.run(['ps'], { sandboxId: id });
    assert.match(stdout, /sleep 4321/);
    assert.match(stdout, /\b1 .*pause|keelson-shim/);
    const leaving = await f.run(['sh', '-c', 'sleep 2222 & sleep 0.05'], { sandboxId: id });
    assert.equal(leaving.status.exitCode, 0);
    assert.doesNotMatch((await f.run(['ps'], { sandboxId: id })).stdout, /sleep 2222/);
    await f.runtime.removeSandbox(id);
  });

  it("uses the host's namespaces when asked", async () => {
    const id = await f.sandbox({ network: 'host', pid: 'host', ipc: 'host' });
    const { stdout } = await f.run(['sh', '-c', 'for n in net pid ipc; do readlink /proc/self/ns/$n; done'], {
      sandboxId: id,
    });
    assert.deepEqual(
      stdout.trim().split('\n'),
      ['net', 'pid', 'ipc'].map((n) => readlinkSync(`/proc/self/ns/${n}`)),
    );
    assert.equal(f.runtime.sandbox(id)!.netns, '');
    await f.runtime.removeSandbox(id);
  });

  it('passes mounts on to the host with rshared, and takes them with rslave', async () => {
    const shared = join(f.dir, 'shared');
    mkdirSync(join(shared, 'in'), { recursive: true });
    await native.mount('none', shared, 'tmpfs', 0, '');
    mkdirSync(join(shared, 'in'));
    await native.mount('', shared, '', 1 << 20, '');
    try {
      const { code } = await sh('mount -t tmpfs none /data/in', {
        security: { privileged: true },
        mounts: [{ source: shared, target: '/data', readOnly: false, propagation: 'rshared' }],
      });
      assert.equal(code, 0);
      assert.match(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(`${shared}/in `));
    } finally {
      await native.umount(join(shared, 'in'), 0);
      await native.umount(shared, 0);
    }
  });

  it("keeps the supervisor's binary from being written by way of its process", () => {
    const { pid } = f.runtime.sandbox(sandboxId)!;
    assert.throws(() => utimesSync(`/proc/${pid}/exe`, 1, 1), { code: 'EROFS' });
  });

  it('shows a container nothing of the host, nor of its supervisor', async () => {
    const secret = join(f.dir, 'secret');
    writeFileSync(secret, 'of another pod');
    const { stdout } = await sh(
      [
        `ls -d ${f.dir} /run/keelson /var/lib/keelson /var/log/pods /proc/*/root${secret} 2>/dev/null | wc -l`,
        'for p in /proc/[0-9]*; do cat $p/comm; done | grep -c keelson-shim',
        'grep -c shim /proc/net/unix',
        'ls /proc/self/fd | wc -l',
      ].join('; '),
    );
    // Standard streams, and the folder that is read.
    assert.equal(stdout, '0\n0\n0\n4\n');
  });

  it('lets nobody reach the kernel by /proc or device nodes', async () => {
    const writes = ['/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/proc/1/oom_score_adj'];
    const { stdout } = await sh(
      [
        ...writes.map((path) => `echo -1000 2>/dev/null > ${path} || echo refused`),
        'mknod /tmp/disk b 8 0 && head -c 1 /tmp/disk >/dev/null 2>&1 || echo refused',
        'mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem >/dev/null 2>&1 || echo refused',
        'chroot /proc/1/cwd/../.. ls /keelson-shim 2>/dev/null || echo refused',
      ].join('; '),
    );
    assert.deepEqual(stdout.trim().split('\n'), Array(6).fill('refused'));
  });

  it('makes root of a user namespace nobody outside, whatever it may do inside', async () => {
    const id = await f.sandbox({ users: { base: 1 << 20, size: 65_536 } });
    const file = join(f.dir, 'host-only');
    writeFileSync(file, 'x', { mode: 0o600 });
    const security = { privileged: true, unmasked: true };
    const script = [
      'cat /proc/self/uid_map',
      'echo x 2>/dev/null > /proc/sys/kernel/core_pattern || echo refused',
      'echo b 2>/dev/null > /proc/sysrq-trigger || echo refused',
      'mount -t tmpfs none /mnt && umount /mnt && echo mounted',
      'umount /proc 2>/dev/null || echo refused',
      'nsenter -t 1 -m true 2>/dev/null; kill -0 1 && echo own',
    ].join('; ');
    const { stdout } = await f.run(['sh', '-c', `mkdir -p /mnt; ${script}`], { sandboxId: id, security });
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.trim().replace(/\s+/g, ' ')),
      ['0 1048576 65536', 'refused', 'refused', 'mounted', 'refused', 'own'],
    );
    const running = await f.runtime.startContainer(f.config(id, ['sleep', '1000']));
    const status = readFileSync(`/proc/${running.pid}/status`, 'utf8');
    assert.match(status, /^Uid:\s+1048576\s+1048576/m);
    await f.runtime.removeSandbox(id);
  });

  it('reports what a container uses', async () => {
    const config = f.config(sandboxId, ['sleep', '100']);
    await f.runtime.startContainer(config);
    const stats = await f.runtime.stats(config.id);
    assert.ok(stats.cpuNanos > 0);
    assert.ok(
      stats.memoryBytes > 0 && stats.workingSetBytes > 0 && stats.workingSetBytes <= stats.memoryBytes,
    );
    assert.equal(stats.pids, 1);
    await f.runtime.stopContainer(config.id, 'SIGKILL', 0);
  });
});

describe('images of many layers', () => {
  it('are stacked however long the list of their folders is', async () => {
    const f = await makeFixture(200);
    try {
      const { stdout } = await f.run(['sh', '-c', 'cat /from-0 /from-199']);
      assert.equal(stdout, '0199');
    } finally {
      await f.close();
    }
  });
});
