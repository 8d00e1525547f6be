/** A disk that runs full: writes are refused in words, reads go on, and writes too once there is room again. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLevelStore } from '../../src/store/leveldb/open.js';
import { StoreError } from '../../src/store/store.js';

describe('a full disk', () => {
  let mount: string;

  before(function () {
    if (process.getuid?.() !== 0) this.skip();
    mount = mkdtempSync(join(tmpdir(), 'keelson-test-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', mount]);
  });
  after(() => {
    if (mount === undefined) return;
    execFileSync('umount', [mount]);
    rmdirSync(mount);
  });

  it('is survived, with all that was acknowledged', async function () {
    this.timeout(60_000);
    const ballast = join(mount, 'ballast');
    writeFileSync(ballast, Buffer.alloc(8 << 20));
    const dir = join(mount, 'db');
    let store = await openLevelStore(dir);
    const acknowledged = new Map<string, number>();
    let failure: unknown;
    const write = async (n: number) => {
      const key = `core/configmaps/default/n${n}`;
      const object = { apiVersion: 'v1', kind: 'X', metadata: { name: `n${n}` }, fill: randomText(20_000) };
      const [stored] = await store.commit([{ key, object }]);
      acknowledged.set(key, stored!.revision);
    };
    for (let n = 0; n < 2000 && failure === undefined; n++)
      await write(n).catch((error) => (failure = error));
    assert.ok(failure instanceof StoreError && failure.kind === 'write-failed', String(failure));
    assert.match(failure.message, /could not be saved.*No space left on device/);
    const check = () => {
      for (const [key, revision] of acknowledged) assert.equal(store.get(key)?.revision, revision, key);
    };
    check();

    rmSync(ballast);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    for (let n = 5000; n < 5010; n++) await write(n);
    check();
    await store.close();
    store = await openLevelStore(dir);
    check();
    assert.equal((await store.list('')).items.length, acknowledged.size);
    await store.close();
  });
});

/** Text that LevelDB can't compress much. */
function randomText(length: number): string {
  let text = '';
  while (text.length < length) text += Math.random().toString(36).slice(2);
  return text.slice(0, length);
}
