/**
 * A process that writes to a store until it is killed, for `store-kill.test.ts`. Each of eight slots has
 * two objects that are always written by one commit, with a number that grows. Every acknowledgement is
 * printed, as slot, number and revision, after it came.
 */
import { writeSync } from 'node:fs';
import { openLevelStore } from '../../src/store/leveldb/open.js';

const [dir, seed = '0'] = process.argv.slice(2);
const store = await openLevelStore(dir!, { windowRevisions: 200 });

const pairKeys = (slot: number): [string, string] => [
  `core/pods/default/a${slot}`,
  `apps/deployments/default/b${slot}`,
];

async function write(slot: number): Promise<never> {
  const keys = pairKeys(slot);
  const start = Number(store.get(keys[0])?.object['n'] ?? seed);
  for (let n = start + 1; ; n++) {
    const fill = 'x'.repeat((n * 37) % 3000);
    const object = (name: string) => ({ apiVersion: 'v1', kind: 'Half', metadata: { name }, n, fill });
    if (n % 10 === 0) await store.commit(keys.map((key) => ({ key, object: null })));
    const stored = await store.commit(keys.map((key) => ({ key, object: object(key) })));
    writeSync(1, `${slot} ${n} ${stored[0]!.revision}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, slot) => write(slot)));
