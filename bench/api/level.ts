/** What the database does without Keelson. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';

/** Synced batches of one 600-byte value a second. */
export async function levelBatches(): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-'));
  const db = new Level<string, Buffer>(dir, { valueEncoding: 'buffer' });
  const value = Buffer.alloc(600, 'x');
  const count = 500;
  const started = performance.now();
  for (let i = 0; i < count; i++)
    await db.batch([{ type: 'put', key: `k${i}`, value }], { sync: true } as never);
  const seconds = (performance.now() - started) / 1000;
  await db.close();
  rmSync(dir, { recursive: true, force: true });
  return count / seconds;
}
