/** What a client was told survives kill -9, and a commit is never seen by half. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openLevelStore } from '../../src/store/leveldb/open.js';
import type { Store, StoreEvent } from '../../src/store/store.js';

const WRITER = fileURLToPath(new URL('./store-writer.js', import.meta.url));
const KILLS = 25;

interface Acknowledged {
  n: number;
  revision: number;
}

/** Lets a writer run for `ms` after its first acknowledgement, kills it, and returns the last one of each slot. */
async function writeAndKill(dir: string, ms: number, seed: number): Promise<Map<number, Acknowledged>> {
  const child = spawn(process.execPath, [WRITER, dir, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  assert.equal(child.exitCode, null, 'the writer runs');
  await new Promise((resolve) => setTimeout(resolve, ms));
  child.kill('SIGKILL');
  await once(child, 'close');
  const last = new Map<number, Acknowledged>();
  const text = Buffer.concat(chunks).toString();
  for (const line of text.slice(0, text.lastIndexOf('\n')).split('\n')) {
    const [slot, n, revision] = line.split(' ').map(Number);
    last.set(slot!, { n: n!, revision: revision! });
  }
  return last;
}

async function history(store: Store): Promise<StoreEvent[]> {
  const watcher = store.watch('', store.compacted);
  const events: StoreEvent[] = [];
  while (watcher.revision < store.revision) events.push(...(await watcher.next()));
  watcher.close();
  return events;
}

function checkSlot(store: Store, slot: number, acknowledged: Acknowledged): void {
  const a = store.get(`core/pods/default/a${slot}`);
  const b = store.get(`apps/deployments/default/b${slot}`);
  assert.equal(a?.revision, b?.revision, `slot ${slot} has both halves of one commit`);
  assert.equal(a?.object['n'], b?.object['n']);
  if (a === undefined) {
    // It was deleted by what came after the last acknowledgement: before each tenth number.
    assert.equal((acknowledged.n + 1) % 10, 0, `slot ${slot} lost ${acknowledged.n}`);
    return;
  }
  const n = a.object['n'] as number;
  assert.ok(
    n === acknowledged.n || n === acknowledged.n + 1,
    `slot ${slot} has ${n} instead of ${acknowledged.n}`,
  );
  assert.ok(a.revision >= acknowledged.revision);
}

describe('kill -9 of a writer', () => {
  it(`loses nothing that was acknowledged, ${KILLS} times`, async function () {
    this.timeout(180_000);
    const dir = mkdtempSync(join(tmpdir(), 'keelson-test-kill-'));
    let total = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const acknowledged = await writeAndKill(dir, Math.random() * 150, total);
      const store = await openLevelStore(dir, { windowRevisions: 200 });
      for (const [slot, last] of acknowledged) {
        checkSlot(store, slot, last);
        total = Math.max(total, last.n + 1);
      }
      const events = await history(store);
      const byRevision = new Map<number, number>();
      for (const { revision } of events) byRevision.set(revision, (byRevision.get(revision) ?? 0) + 1);
      for (const [revision, count] of byRevision) assert.equal(count, 2, `revision ${revision} is whole`);
      assert.equal(byRevision.size, store.revision - store.compacted);
      await store.close();
    }
    assert.ok(total > KILLS, 'the writers got something done');
    rmSync(dir, { recursive: true });
  });
});
