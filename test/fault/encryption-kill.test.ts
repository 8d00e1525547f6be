/** kill -9 while keys change: every acknowledged Secret is still read, and none stands in the files in plain. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadEncryption } from '../../src/server/encryption.js';
import { openLevelStore } from '../../src/store/leveldb/open.js';

const ROTATOR = fileURLToPath(new URL('./encryption-rotator.js', import.meta.url));
const KILLS = 12;

async function rotateAndKill(
  dir: string,
  ms: number,
): Promise<{ written: Map<string, number>; rotations: number }> {
  const child = spawn(process.execPath, [ROTATOR, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  assert.equal(child.exitCode, null, 'the process runs');
  await new Promise((resolve) => setTimeout(resolve, ms));
  child.kill('SIGKILL');
  await once(child, 'close');
  const written = new Map<string, number>();
  let rotations = 0;
  for (const line of Buffer.concat(chunks).toString().split('\n').slice(0, -1)) {
    const [slot, n] = line.split(' ') as [string, string];
    if (slot === 'rotated') rotations++;
    else written.set(slot, Number(n));
  }
  return { written, rotations };
}

describe('kill -9 in the middle of a key rotation', () => {
  it(`loses no Secret, ${KILLS} times`, async function () {
    this.timeout(120_000);
    const dir = mkdtempSync(join(tmpdir(), 'keelson-test-rotate-'));
    let rotations = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const done = await rotateAndKill(dir, Math.random() * 250);
      rotations += done.rotations;
      const encryption = await loadEncryption(join(dir, 'encryption.yaml'), true);
      const store = await openLevelStore(join(dir, 'db'), { transformer: encryption.transformer });
      for (const [slot, n] of done.written) {
        const now = store.get(`core/secrets/default/s${slot}`)?.object['n'] as number;
        assert.ok(now === n || now === n + 1, `s${slot} has ${now} instead of ${n}`);
      }
      await encryption.finish(store);
      await store.close();
      const file = readFileSync(join(dir, 'encryption.yaml'), 'utf8');
      assert.equal(file.match(/name:/g)?.length, 1, 'one key is left');
      for (const name of readdirSync(join(dir, 'db')))
        assert.ok(!readFileSync(join(dir, 'db', name)).includes('TREASURE'), `${name} is encrypted`);
    }
    assert.ok(rotations > 0, 'keys were changed');
    rmSync(dir, { recursive: true });
  });
});
