import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionOptions } from '../../../src/runtime/types.js';
import { collect, exitOf, type Fixture, makeFixture, readLog } from './fixture.js';

const OUTPUT: SessionOptions = { stdin: false, stdout: true, stderr: true, tty: false };

describe('exec and attach', () => {
  let f: Fixture;
  let sandboxId: string;
  let id: string;
  before(async () => {
    f = await makeFixture();
    sandboxId = await f.sandbox();
    const config = f.config(sandboxId, ['sleep', '1000'], { env: ['PATH=/bin', 'OF=container'] });
    id = config.id;
    await f.runtime.startContainer(config);
  });
  after(() => f.close());
  const shimRss = () =>
    Number(
      /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${f.runtime.sandbox(sandboxId)!.pid}/status`, 'utf8'))![1],
    );

  it('runs a command in the container and gives both streams and the exit code', async () => {
    const session = await f.runtime.exec(id, ['sh', '-c', 'echo $OF $EXTRA; echo no >&2; exit 7'], OUTPUT, [
      'EXTRA=more',
    ]);
    const [stdout, stderr, { exitCode }] = await Promise.all([
      collect(session.stdout!),
      collect(session.stderr!),
      session.exited,
    ]);
    assert.deepEqual(
      { stdout, stderr, exitCode },
      { stdout: 'container more\n', stderr: 'no\n', exitCode: 7 },
    );
  });

  it("is in the container's namespaces and cgroup", async () => {
    const session = await f.runtime.exec(
      id,
      [
        'sh',
        '-c',
        'for n in pid mnt cgroup net; do readlink /proc/self/ns/$n; readlink /proc/1/ns/$n; done; cat /proc/self/cgroup',
      ],
      OUTPUT,
    );
    const lines = (await collect(session.stdout!)).trim().split('\n');
    for (let i = 0; i < 8; i += 2) assert.equal(lines[i], lines[i + 1]);
    const memory = lines.find((line) => line.includes(':memory:') || line.startsWith('0::'));
    assert.match(memory!, /:\/$/);
  });

  it('tells the end of a command that leaves its input unread', async () => {
    const input = randomBytes(100_000);
    const ends = Array.from({ length: 40 }, async () => {
      const session = await f.runtime.exec(id, ['head', '-c', '3'], { ...OUTPUT, stdin: true });
      session.stdin!.on('error', () => undefined);
      const output = collect(session.stdout!);
      session.stdin!.write(input);
      setTimeout(() => session.stdin!.end(input), 1);
      const { exitCode } = await session.exited;
      return { exitCode, said: (await output) !== '' };
    });
    for (const end of await Promise.all(ends)) assert.deepEqual(end, { exitCode: 0, said: true });
  });

  it('tells why a command can not be executed', async () => {
    await assert.rejects(f.runtime.exec(id, ['nosuch'], OUTPUT), {
      code: 'StartFailed',
      message: /exec: "nosuch": executable file not found in \$PATH/,
    });
  });

  it('refuses a container that has ended', async () => {
    const { status } = await f.run(['true'], { sandboxId });
    await assert.rejects(f.runtime.exec(status.id, ['true'], OUTPUT), /container not running/);
    await assert.rejects(f.runtime.exec('nosuch', ['true'], OUTPUT), { code: 'NotFound' });
  });

  it('passes 100 MB from stdin to stdout, whole and without gathering it', async () => {
    const before = shimRss();
    const session = await f.runtime.exec(id, ['cat'], { ...OUTPUT, stdin: true });
    const block = randomBytes(1 << 20);
    const sent = createHash('sha256');
    const received = createHash('sha256');
    let size = 0;
    let highest = 0;
    const source = Readable.from(
      (function* () {
        for (let i = 0; i < 100; i++) {
          sent.update(block);
          yield block;
        }
      })(),
    );
    const input = pipeline(source, session.stdin!);
    for await (const chunk of session.stdout!) {
      received.update(chunk);
      size += chunk.length;
      if (size % (8 << 20) < chunk.length) highest = Math.max(highest, shimRss());
    }
    await input;
    assert.equal((await session.exited).exitCode, 0);
    assert.equal(size, 100 << 20);
    assert.equal(received.digest('hex'), sent.digest('hex'));
    assert.ok(highest < before + 1024, `the shim grew from ${before} to ${highest} kB`);
  }).timeout(120_000);

  it('makes a process wait whose reader does not read', async () => {
    const session = await f.runtime.exec(id, ['yes'], OUTPUT);
    await sleep(100);
    assert.ok(shimRss() < 2048, `${shimRss()} kB`);
    session.close();
    await assert.rejects(session.exited, { code: 'Gone' });
  });

  it('kills the process of an exec that is given up', async () => {
    const session = await f.runtime.exec(id, ['sh', '-c', 'echo $$; exec sleep 1234'], OUTPUT);
    await new Promise((resolve) => session.stdout!.once('data', resolve));
    session.close();
    for (let i = 0; ; i++) {
      const ps = await f.runtime.exec(id, ['ps'], OUTPUT);
      if (!(await collect(ps.stdout!)).includes('sleep 1234')) break;
      assert.ok(i < 50, 'it still runs');
      await sleep(10);
    }
  });

  it('ends the input of the process with the stream', async () => {
    const session = await f.runtime.exec(id, ['wc', '-c'], { ...OUTPUT, stdin: true });
    session.stdin!.end('12345');
    assert.equal((await collect(session.stdout!)).trim(), '5');
  });

  it('gives a terminal of the size asked for', async () => {
    const session = await f.runtime.exec(id, ['sh', '-c', 'tty; read line; stty size; echo $TERM'], {
      stdin: true,
      stdout: true,
      stderr: false,
      tty: true,
    });
    session.resize(123, 45);
    session.stdin!.write('go\n');
    const text = await collect(session.stdout!);
    assert.match(text, /\/dev\/pts\/\d+\r\n/);
    assert.match(text, /45 123\r\nxterm\r\n/);
    assert.equal((await session.exited).exitCode, 0);
  });

  it('passes control characters of a terminal as signals', async () => {
    const session = await f.runtime.exec(id, ['sh', '-c', 'echo ready; sleep 100'], {
      stdin: true,
      stdout: true,
      stderr: false,
      tty: true,
    });
    await new Promise((resolve) => session.stdout!.once('data', resolve));
    session.stdin!.write('\x03');
    assert.equal((await session.exited).exitCode, 130);
  });

  it('attaches to output, to input once, and ends with the container', async () => {
    const config = f.config(
      sandboxId,
      ['sh', '-c', 'while read line; do echo "got $line"; done; echo bye; exit 5'],
      {
        stdin: true,
        stdinOnce: true,
      },
    );
    const ended = exitOf(f.runtime, config.id);
    const { logPath } = await f.runtime.startContainer(config);
    const watching = await f.runtime.attach(config.id, OUTPUT);
    const writing = await f.runtime.attach(config.id, { ...OUTPUT, stdin: true });
    writing.stdin!.end('one\ntwo\n');
    const expected = 'got one\ngot two\nbye\n';
    assert.deepEqual(await Promise.all([collect(watching.stdout!), collect(writing.stdout!)]), [
      expected,
      expected,
    ]);
    assert.equal((await watching.exited).exitCode, 5);
    assert.equal((await ended).exitCode, 5);
    assert.equal(readLog(logPath).stdout, expected);
  });

  it('gives the first with input what a container said before, and only with stdinOnce', async () => {
    const script = ['sh', '-c', 'echo early; echo wrong >&2; cat'];
    const attach = (stdin: boolean) => f.runtime.attach(id, { ...OUTPUT, stdin });
    let id = '';
    for (const stdinOnce of [true, false]) {
      const config = f.config(sandboxId, script, { stdin: true, stdinOnce });
      id = config.id;
      const { logPath } = await f.runtime.startContainer(config);
      while (!/wrong/.test(readFileSync(logPath, 'utf8')))
        await new Promise((resolve) => setTimeout(resolve, 10));
      const watching = await attach(false);
      const first = await attach(true);
      const second = await attach(true);
      first.stdin!.write('late\n');
      for (const session of [watching, first, second])
        await new Promise((resolve) => session.stdout!.once('readable', resolve));
      await f.runtime.stopContainer(id, 'SIGKILL', 0);
      const said = await Promise.all(
        [watching, first, second].map(async ({ stdout, stderr }) => [
          await collect(stdout!),
          await collect(stderr!),
        ]),
      );
      const late = ['late\n', ''];
      assert.deepEqual(said, [late, stdinOnce ? ['early\nlate\n', 'wrong\n'] : late, late]);
    }
  });

  it('keeps the input of a container open between attachments', async () => {
    const config = f.config(sandboxId, ['cat'], { stdin: true });
    const { logPath } = await f.runtime.startContainer(config);
    for (const text of ['first\n', 'second\n']) {
      const session = await f.runtime.attach(config.id, { ...OUTPUT, stdin: true });
      session.stdin!.write(text);
      await new Promise((resolve) => session.stdout!.once('data', resolve));
      session.close();
    }
    assert.equal(readLog(logPath).stdout, 'first\nsecond\n');
    await f.runtime.stopContainer(config.id, 'SIGKILL', 0);
  });

  it('attaches to a terminal container', async () => {
    const config = f.config(sandboxId, ['sh'], { stdin: true, tty: true });
    const { logPath } = await f.runtime.startContainer(config);
    const session = await f.runtime.attach(config.id, { stdin: true, stdout: true, stderr: true, tty: true });
    session.resize(80, 24);
    session.stdin!.write('stty size; ls -l /dev/console | head -c 1; exit 9\n');
    assert.match(await collect(session.stdout!), /24 80\r\nc/);
    assert.equal((await session.exited).exitCode, 9);
    assert.equal(session.stderr, undefined);
    assert.match(readLog(logPath).stdout, /24 80/);
  });

  it('drops an attached client that does not read, and the container goes on', async () => {
    const config = f.config(sandboxId, [
      'sh',
      '-c',
      'sleep 0.1; head -c 4000000 /dev/zero | busybox tr "\\0" "\\n"',
    ]);
    const ended = exitOf(f.runtime, config.id);
    const { logPath } = await f.runtime.startContainer(config);
    const slow = await f.runtime.attach(config.id, OUTPUT);
    await ended;
    assert.equal(readFileSync(logPath, 'utf8').split('\n').length - 1, 4_000_000);
    slow.stdout!.resume();
    await assert.rejects(slow.exited, { code: 'Gone' });
  }).timeout(60_000);

  it('closes only the client that sends garbage', async () => {
    const path = join(f.dir, 'run/sandboxes', sandboxId, 'sock');
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([9, 0, 0, 0, 3, 1, 0, 0, 0, 77, 255, 255, 255]),
      Buffer.from([5, 0, 0, 0, 99, 1, 0, 0, 0]),
      Buffer.from([255, 255, 255, 255, 2, 0, 0, 0, 0]),
      Buffer.from([5, 0, 0, 0, 3, 1, 0, 0, 0]),
      Buffer.from([200, 0]),
    ]) {
      const socket = connect(path);
      socket.on('error', () => undefined);
      socket.end(bytes);
      await new Promise((resolve) => socket.on('close', resolve).resume());
    }
    const session = await f.runtime.exec(id, ['echo', 'alive'], OUTPUT);
    assert.equal(await collect(session.stdout!), 'alive\n');
  });
});
