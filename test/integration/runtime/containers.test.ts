import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../../../src/runtime/native.js';
import type { RuntimeError } from '../../../src/runtime/types.js';
import { exitOf, type Fixture, logLines, makeFixture } from './fixture.js';

describe('containers', () => {
  let f: Fixture;
  let sandboxId: string;
  before(async () => {
    f = await makeFixture();
    sandboxId = await f.sandbox();
  });
  after(() => f.close());
  const sh = (script: string, changes: Parameters<Fixture['run']>[1] = {}) =>
    f.run(['sh', '-c', script], { sandboxId, ...changes });

  it('reports the exit code', async () => {
    const { status } = await sh('exit 42');
    assert.equal(status.exitCode, 42);
    assert.equal(status.signal, 0);
    assert.equal(status.state, 'exited');
    assert.ok(status.startedAt >= status.createdAt && status.finishedAt >= status.startedAt);
  });

  it('reports the signal that ended it as 128 + n', async () => {
    const config = f.config(sandboxId, ['sleep', '100']);
    await f.runtime.startContainer(config);
    const stopped = await f.runtime.stopContainer(config.id, 'SIGTERM', 50);
    assert.equal(stopped.exitCode, 137);
    assert.equal(stopped.signal, 9);
  });

  it('lets a container end itself within the grace', async () => {
    const config = f.config(sandboxId, [
      'sh',
      '-c',
      'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done',
    ]);
    const { logPath } = await f.runtime.startContainer(config);
    while (!readFileSync(logPath, 'utf8').includes('ready')) await new Promise((r) => setTimeout(r, 5));
    assert.equal((await f.runtime.stopContainer(config.id, 'SIGTERM', 5000)).exitCode, 3);
  });

  it('writes CRI log lines of both streams, and a partial one at the end', async () => {
    const { status } = await sh('echo out; echo err >&2; printf tail');
    const lines = logLines(status.logPath);
    for (const { time } of lines) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    assert.ok(Math.abs(Date.parse(lines[0]!.time) - Date.now()) < 60_000);
    const stdout = lines.filter((l) => l.stream === 'stdout').map(({ flag, text }) => [flag, text]);
    assert.deepEqual(stdout, [
      ['F', 'out'],
      ['P', 'tail'],
    ]);
    assert.deepEqual(
      lines.filter((l) => l.stream === 'stderr').map((l) => l.text),
      ['err'],
    );
  });

  it('splits lines longer than 16 KiB', async () => {
    const { status } = await sh('head -c 40000 /dev/zero | busybox tr "\\0" x; echo; echo next');
    const lines = logLines(status.logPath).map(({ flag, text }) => [flag, text.length]);
    assert.deepEqual(lines, [
      ['P', 16384],
      ['P', 16384],
      ['F', 40000 - 2 * 16384],
      ['F', 4],
    ]);
  });

  it('runs on when the disk of its log is full, and logs again when there is room', async () => {
    const logs = join(f.dir, 'small');
    mkdirSync(logs);
    await native.mount('none', logs, 'tmpfs', 0, 'size=64k');
    const id = await f.sandbox({ logDirectory: logs });
    const script =
      'head -c 300000 /dev/zero | busybox tr "\\0" "\\n"; touch /tmp/full; while [ -e /tmp/full ]; do sleep 0.01; done; echo end';
    const config = f.config(id, ['sh', '-c', script]);
    const ended = exitOf(f.runtime, config.id);
    try {
      const { logPath } = await f.runtime.startContainer(config);
      const inside = async (...argv: string[]) =>
        (
          await (
            await f.runtime.exec(config.id, argv, { stdin: false, stdout: false, stderr: false, tty: false })
          ).exited
        ).exitCode;
      while ((await inside('test', '-e', '/tmp/full')) !== 0);
      // What was still on its way to the log would fill it again.
      do {
        truncateSync(logPath);
        await sleep(50);
      } while (statSync(logPath).size > 0);
      await inside('rm', '/tmp/full');
      assert.equal((await ended).exitCode, 0);
      assert.deepEqual(
        logLines(logPath)
          .filter((l) => l.text)
          .map((l) => l.text),
        ['end'],
      );
    } finally {
      await f.runtime.removeSandbox(id);
      await native.umount(logs, 0);
    }
  });

  it('links the log where collectors look for it, until the container is removed', async () => {
    const { status } = await sh('true');
    const link = join(f.dir, 'links', `web_default_main-${status.id}.log`);
    assert.equal(readlinkSync(link), status.logPath);
    await f.runtime.removeContainer(status.id);
    assert.equal(lstatSync(link, { throwIfNoEntry: false }), undefined);
    assert.ok(existsSync(status.logPath), 'the log stays');
  });

  it('gives environment, working directory, hostname and home', async () => {
    const { stdout } = await sh('echo $GREETING $HOME; pwd; hostname', {
      env: ['PATH=/bin', 'GREETING=hello'],
      workingDirectory: '/made/for/me',
    });
    assert.equal(stdout, 'hello /root\n/made/for/me\nweb\n');
  });

  it('runs as the user and groups asked for, with the home of /etc/passwd', async () => {
    const { stdout } = await sh('id -u; id -g; id -G; echo $HOME', {
      security: { uid: 1000, gid: 1000, supplementalGroups: [2000] },
    });
    assert.equal(stdout, '1000\n1000\n1000 2000\n/home/ann\n');
  });

  it('stacks layers, the later over the earlier', async () => {
    const { stdout } = await sh('cat /from-0');
    assert.equal(stdout, '0');
  });

  const failures: [argv: string[], message: string][] = [
    [['nosuch'], 'exec: "nosuch": executable file not found in $PATH: unknown'],
    [['/nosuch'], 'exec: "/nosuch": stat /nosuch: no such file or directory'],
    [['/etc'], 'exec: "/etc": is a directory'],
    [['/etc/not-executable'], 'exec: "/etc/not-executable": permission denied'],
  ];
  for (const [argv, message] of failures)
    it(`says why ${argv[0]} can't be started, and leaves nothing of it`, async () => {
      const before = f.runtime.sandbox(sandboxId)!.containers.length;
      await assert.rejects(f.runtime.startContainer(f.config(sandboxId, argv)), (error: RuntimeError) => {
        assert.equal(error.code, 'StartFailed');
        assert.equal(error.exitCode, 128);
        assert.ok(error.message.includes(message), error.message);
        return true;
      });
      assert.equal(f.runtime.sandbox(sandboxId)!.containers.length, before);
    });

  it('tells a missing image', async () => {
    const config = f.config(sandboxId, ['true'], { imageId: 'sha256:none' });
    await assert.rejects(f.runtime.startContainer(config), { code: 'ImageMissing' });
  });

  it('tells of exits by event once', async () => {
    let seen = 0;
    const listener = () => seen++;
    f.runtime.on('exit', listener);
    await sh('true');
    f.runtime.off('exit', listener);
    assert.equal(seen, 1);
  });

  it('shares network, UTS and IPC in the pod, and not PIDs', async () => {
    const config = f.config(sandboxId, ['sleep', '100']);
    const { pid } = await f.runtime.startContainer(config);
    const names = ['net', 'uts', 'ipc', 'pid', 'mnt'];
    const { stdout } = await sh(`for n in ${names.join(' ')}; do readlink /proc/self/ns/$n; done`);
    const other = Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((link, i) => [names[i], link]),
    );
    for (const name of names) {
      const own = readlinkSync(`/proc/${pid}/ns/${name}`);
      assert.equal(own === other[name], !['pid', 'mnt'].includes(name), name);
      assert.notEqual(own, readlinkSync(`/proc/self/ns/${name}`));
    }
    assert.equal(readlinkSync(f.runtime.sandbox(sandboxId)!.netns), other.net);
    await f.runtime.stopContainer(config.id, 'SIGKILL', 0);
  });

  it('shares /dev/shm in the pod', async () => {
    await sh('echo shared > /dev/shm/file');
    const { stdout } = await sh('cat /dev/shm/file; df -k /dev/shm | tail -n 1');
    assert.match(stdout, /^shared\n.* 65536 /);
  });

  it('ends with its first process, whatever else runs in it', async () => {
    const { status } = await sh('sleep 1000 & exit 0');
    assert.equal(status.exitCode, 0);
  });
});
