import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertNoLeaks, snapshot } from '../fixtures/leaks.js';
import { exitOf, type Fixture, makeFixture, sandboxConfig } from '../integration/runtime/fixture.js';

/** Started over and over by the victim: no other process of this machine has this command. */
const MARK = '86399.5417';

describe('runtime under kill -9', () => {
  let f: Fixture;
  beforeEach(async () => {
    f = await makeFixture();
  });
  afterEach(() => f.close());

  it('of the agent at any moment: what is found again is whole, and goes without a trace', async () => {
    const filter = { containing: [MARK, f.dir, process.env['KEELSON_TEST_CGROUP']!] };
    const before = snapshot(filter);
    let found = 0;
    // On a slow machine it takes longer until there is something to find.
    for (let round = 0; round < 12 || (found === 0 && round < 60); round++) {
      const victim = fork(join(import.meta.dirname, 'runtime-victim.js'), [f.dir, MARK], {
        stdio: 'inherit',
      });
      await new Promise((resolve) => victim.once('message', resolve));
      await sleep(round * 3);
      victim.kill('SIGKILL');
      await new Promise((resolve) => victim.once('exit', resolve));
      const runtime = await f.reopen();
      for (const sandbox of await runtime.recover()) {
        for (const container of sandbox.containers) assert.equal(container.state, 'running');
        found += sandbox.containers.length;
        await runtime.removeSandbox(sandbox.id);
      }
      await assertNoLeaks(before, filter);
      assert.deepEqual(readdirSync(join(f.dir, 'run/sandboxes')), []);
      assert.deepEqual(readdirSync(join(f.dir, 'data/containers')), []);
      await runtime.close();
    }
    assert.ok(found > 0, 'no round got as far as a container');
  }).timeout(60_000);

  it('of a shim at any moment of a start', async () => {
    const filter = { containing: [MARK] };
    for (let round = 0; round < 10; round++) {
      const id = await f.sandbox({ pid: round % 2 ? 'pod' : 'container' });
      const starts = [0, 1, 2].map(() => f.runtime.startContainer(f.config(id, ['sleep', MARK])));
      await sleep(round);
      process.kill(f.runtime.sandbox(id)!.pid, 'SIGKILL');
      for (const start of await Promise.allSettled(starts))
        if (start.status === 'rejected')
          assert.ok(['Gone', 'StartFailed'].includes(start.reason.code), start.reason);
      await f.runtime.removeSandbox(id);
      await assertNoLeaks(
        { mounts: [], links: [], cgroups: [], processes: [], networkNamespaces: [] },
        filter,
      );
    }
  });

  it('of the shims of many pods: each is reported, and none of their processes stays', async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, () => f.sandbox()));
    const ends = [];
    for (const id of ids) {
      const config = f.config(id, ['sleep', MARK]);
      ends.push(exitOf(f.runtime, config.id));
      await f.runtime.startContainer(config);
    }
    for (const { pid } of f.runtime.sandboxes()) process.kill(pid, 'SIGKILL');
    for (const { exitCode } of await Promise.all(ends)) assert.equal(exitCode, 137);
    await assertNoLeaks(
      { mounts: [], links: [], cgroups: [], processes: [], networkNamespaces: [] },
      { containing: [MARK] },
    );
  });
});

describe('a shim that hangs', () => {
  let f: Fixture;
  beforeEach(async () => {
    f = await makeFixture(1, { shimPatienceMs: 1000 });
  });
  afterEach(() => f.close());
  const nothing = { mounts: [], links: [], cgroups: [], processes: [], networkNamespaces: [] };

  it('while it sets the pod up is given up, and leaves nothing', async () => {
    const shim = join(f.dir, 'hangs');
    writeFileSync(shim, `#!/bin/sh\nexec sleep ${MARK}\n`, { mode: 0o755 });
    const runtime = await f.reopen({ shimPath: shim });
    const config = sandboxConfig(f.dir, 'hangs');
    await assert.rejects(runtime.createSandbox(config), { code: 'Gone' });
    await assertNoLeaks(nothing, { containing: [MARK, 'hangs'] });
    assert.deepEqual(readdirSync(join(f.dir, 'run/sandboxes')), []);
    await runtime.close();
  });

  it('with containers does not keep them from being stopped, nor the pod from being removed', async () => {
    const [one, two] = [await f.sandbox(), await f.sandbox()];
    const config = f.config(one, ['sleep', MARK]);
    await f.runtime.startContainer(config);
    await f.runtime.startContainer(f.config(two, ['sleep', MARK]));
    for (const { pid } of f.runtime.sandboxes()) process.kill(pid, 'SIGSTOP');
    const { exitCode } = await f.runtime.stopContainer(config.id, 'SIGTERM', 100);
    assert.equal(exitCode, 137);
    await f.runtime.removeSandbox(one);
    await f.runtime.removeSandbox(two);
    await assertNoLeaks(nothing, { containing: [MARK] });
  });

  it('is not waited for by an agent that starts', async () => {
    const id = await f.sandbox();
    await f.runtime.startContainer(f.config(id, ['sleep', MARK]));
    process.kill(f.runtime.sandbox(id)!.pid, 'SIGSTOP');
    await f.runtime.close();
    const runtime = await f.reopen();
    const [found] = await runtime.recover();
    assert.equal(found!.alive, false);
    assert.equal(found!.containers[0]!.exitCode, 137);
    await runtime.removeSandbox(id);
    await assertNoLeaks(nothing, { containing: [MARK] });
    await runtime.close();
  });
});
