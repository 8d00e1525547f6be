/** What the store keeps in memory of many objects. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLevelStore } from '../../src/store/index.js';
import type { Result } from '../report.js';

const OBJECTS = 100_000;
const BATCH = 1_000;

const STORE = new URL('../../src/store/index.js', import.meta.url).href;
/** Run by a process of its own, in which nothing has been allocated before. */
const OPEN = `
  const { openLevelStore } = await import(process.argv[1]);
  const before = process.memoryUsage.rss();
  const store = await openLevelStore(process.argv[2]);
  console.log(process.memoryUsage.rss() - before);
  await store.close();
`;

const configMap = (i: number) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `object-${i}`, namespace: 'default', uid: `${i}`, labels: { bench: 'yes' } },
  data: { text: 'x'.repeat(200) },
});

/** How a process grows by opening a store with so many ConfigMaps of some 400 bytes. */
export async function benchObjects(): Promise<Result[]> {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-objects-'));
  try {
    const filled = await openLevelStore(join(dir, 'db'));
    for (let i = 0; i < OBJECTS; i += BATCH)
      await filled.commit(
        Array.from({ length: BATCH }, (_, j) => {
          const object = configMap(i + j);
          return { key: `core/configmaps/default/${object.metadata.name}`, object };
        }),
      );
    await filled.close();
    const bytes = Number(
      execFileSync(process.execPath, ['--input-type=module', '-e', OPEN, STORE, join(dir, 'db')]),
    );
    return [{ name: `memory for ${OBJECTS} objects`, value: bytes / 2 ** 20, unit: 'MiB' }];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
