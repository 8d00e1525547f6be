/**
 * A process that writes Secrets and changes the encryption key until it is killed, for `encryption-kill.test.ts`. Each
 * acknowledged write is printed, as name and number.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { loadEncryption } from '../../src/server/encryption.js';
import { openLevelStore } from '../../src/store/leveldb/open.js';

const [dir] = process.argv.slice(2);
const encryption = await loadEncryption(join(dir!, 'encryption.yaml'), true);
const store = await openLevelStore(join(dir!, 'db'), { transformer: encryption.transformer });
await encryption.keep();
void encryption.finish(store);

async function write(slot: number): Promise<never> {
  const key = `core/secrets/default/s${slot}`;
  for (let n = Number(store.get(key)?.object['n'] ?? 0) + 1; ; n++) {
    const object = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `s${slot}` },
      n,
      data: { x: 'TREASURE' },
    };
    await store.commit([{ key, object }]);
    writeSync(1, `${slot} ${n}\n`);
  }
}

async function rotate(): Promise<never> {
  for (;;) {
    const { rewritten } = await encryption.rotate(store);
    writeSync(1, `rotated ${rewritten}\n`);
  }
}

await Promise.all([rotate(), ...Array.from({ length: 4 }, (_, slot) => write(slot))]);
