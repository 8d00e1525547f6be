import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processStartTime, SandboxState } from '../../../src/runtime/state.js';
import type { ContainerStatus } from '../../../src/runtime/types.js';
import { assertNoLeaks, snapshot } from '../../fixtures/leaks.js';
import { exitOf, type Fixture, logLines, makeFixture } from './fixture.js';

describe('recovery', () => {
  let f: Fixture;
  beforeEach(async () => {
    f = await makeFixture();
  });
  afterEach(() => f.close());

  it('finds running containers again, with the same process', async () => {
    const sandboxId = await f.sandbox({ labels: { a: 'b' } });
    const config = f.config(sandboxId, ['sh', '-c', 'while :; do echo tick; sleep 0.02; done'], {
      labels: { c: 'd' },
    });
    const started = await f.runtime.startContainer(config);
    await f.runtime.close();
    const later = await f.reopen();
    const [sandbox] = await later.recover();
    assert.equal(sandbox!.alive, true);
    assert.deepEqual(sandbox!.labels, { a: 'b' });
    assert.deepEqual(sandbox!.containers, [started]);
    const lines = () => logLines(started.logPath).length;
    const before = lines();
    await sleep(60);
    assert.ok(lines() > before, 'its output is still written');
    const ended = exitOf(later, config.id);
    await later.stopContainer(config.id, 'SIGKILL', 0);
    assert.equal((await ended).exitCode, 137);
  });

  it('ends what has lost its state, and nothing else', async () => {
    const [lost, cut, kept] = [await f.sandbox(), await f.sandbox(), await f.sandbox()];
    for (const id of [lost, cut, kept]) await f.runtime.startContainer(f.config(id, ['sleep', '4711.25']));
    await f.runtime.close();
    rmSync(join(f.dir, 'run/sandboxes', lost), { recursive: true });
    writeFileSync(join(f.dir, 'run/sandboxes', cut, 'config.json'), '{"config":');
    const filter = { containing: [lost, cut] };
    const later = await f.reopen();
    const found = await later.recover();
    assert.deepEqual(
      found.map(({ id, alive, containers }) => [id, alive, containers[0]!.state]),
      [[kept, true, 'running']],
    );
    const none = { mounts: [], links: [], cgroups: [], processes: [], networkNamespaces: [] };
    await assertNoLeaks(none, filter);
    assert.equal(snapshot({ containing: ['sleep 4711.25'] }).processes.length, 1);
  });

  it('tells of exits that happened meanwhile', async () => {
    const sandboxId = await f.sandbox();
    const config = f.config(sandboxId, ['sh', '-c', 'sleep 0.1; exit 6']);
    await f.runtime.startContainer(config);
    await f.runtime.close();
    const record = join(f.dir, 'run/sandboxes', sandboxId, 'containers', `${config.id}.exit`);
    while (!existsSync(record)) await sleep(5);
    const seenAt = Date.now();
    const later = await f.reopen();
    const [sandbox] = await later.recover();
    const [container] = sandbox!.containers;
    assert.equal(container!.state, 'exited');
    assert.equal(container!.exitCode, 6);
    assert.ok(container!.finishedAt >= container!.startedAt && container!.finishedAt <= seenAt);
  });

  it('outlives kill -9 of the process that started it', async () => {
    const child: ChildProcess = fork(join(import.meta.dirname, 'victim.js'), [f.dir], { stdio: 'inherit' });
    const status = await new Promise<ContainerStatus>((resolve) =>
      child.once('message', (message) => resolve(message as ContainerStatus)),
    );
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    const [sandbox] = await f.runtime.recover();
    assert.deepEqual(sandbox!.containers, [status]);
    assert.ok(existsSync(`/proc/${status.pid}`));
    const stopped = await f.runtime.stopContainer(status.id, 'SIGKILL', 0);
    assert.equal(stopped.exitCode, 137);
  }).timeout(10_000);

  it('kills and reports the containers of a shim that was killed', async () => {
    const sandboxId = await f.sandbox();
    const config = f.config(sandboxId, ['sleep', '1000']);
    const { pid } = await f.runtime.startContainer(config);
    const ended = exitOf(f.runtime, config.id);
    const gone = new Promise((resolve) => f.runtime.on('gone', resolve));
    process.kill(f.runtime.sandbox(sandboxId)!.pid, 'SIGKILL');
    const status = await ended;
    assert.deepEqual([status.exitCode, status.signal, status.state], [137, 9, 'exited']);
    assert.equal(await gone, sandboxId);
    assert.equal(f.runtime.sandbox(sandboxId)!.alive, false);
    // The init of this machine still has to reap it.
    assert.equal(processStartTime(pid), '');
    await assert.rejects(f.runtime.startContainer(f.config(sandboxId, ['true'])), { code: 'Gone' });
  });

  it('cleans up after a shim that died while nobody watched', async () => {
    const sandboxId = await f.sandbox();
    const config = f.config(sandboxId, ['sleep', '1000']);
    await f.runtime.startContainer(config);
    const { pid } = f.runtime.sandbox(sandboxId)!;
    await f.runtime.close();
    process.kill(pid, 'SIGKILL');
    const later = await f.reopen();
    const [sandbox] = await later.recover();
    assert.equal(sandbox!.alive, false);
    assert.equal(sandbox!.containers[0]!.state, 'exited');
    assert.equal(sandbox!.containers[0]!.exitCode, 137);
  });

  it('forgets a start that was not answered', async () => {
    const sandboxId = await f.sandbox();
    await f.runtime.close();
    const state = new SandboxState(join(f.dir, 'run/sandboxes', sandboxId));
    state.writeContainer({ config: f.config(sandboxId, ['true']), createdAt: 1 });
    const later = await f.reopen();
    assert.deepEqual((await later.recover())[0]!.containers, []);
    assert.deepEqual(readdirSync(join(f.dir, 'data/containers')), []);
  });

  it('rotates a log on command', async () => {
    const sandboxId = await f.sandbox();
    const config = f.config(sandboxId, [
      'sh',
      '-c',
      'i=0; while :; do echo $i; i=$((i+1)); sleep 0.005; done',
    ]);
    const { logPath } = await f.runtime.startContainer(config);
    await sleep(50);
    renameSync(logPath, `${logPath}.old`);
    await f.runtime.reopenLog(config.id);
    await sleep(50);
    const numbers = [...logLines(`${logPath}.old`), ...logLines(logPath)].map((l) => Number(l.text));
    assert.deepEqual(
      numbers,
      numbers.map((_, i) => i),
    );
    assert.ok(readFileSync(logPath).length > 0);
  });

  it('removes a sandbox with everything in it, twice', async () => {
    const sandboxId = await f.sandbox();
    for (let i = 0; i < 3; i++) await f.runtime.startContainer(f.config(sandboxId, ['sleep', '1000']));
    await f.runtime.removeSandbox(sandboxId);
    await f.runtime.removeSandbox(sandboxId);
    assert.deepEqual(f.runtime.sandboxes(), []);
    assert.deepEqual(readdirSync(join(f.dir, 'data/containers')), []);
    assert.deepEqual(readdirSync(join(f.dir, 'run/sandboxes')), []);
  });
});
