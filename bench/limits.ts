/** What this machine can do without Keelson: crun starting a container, LevelDB syncing batches. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { quantile } from './report.js';

/** Milliseconds for `crun run --detach` of a busybox sleep, median of 10; undefined without crun. */
export async function crunStart(): Promise<number | undefined> {
  if (!existsSync('/usr/bin/crun')) return undefined;
  const bundle = mkdtempSync(join(tmpdir(), 'keelson-bench-'));
  try {
    mkdirSync(join(bundle, 'rootfs/bin'), { recursive: true });
    for (const folder of ['proc', 'sys', 'dev']) mkdirSync(join(bundle, 'rootfs', folder));
    copyFileSync('/bin/busybox', join(bundle, 'rootfs/bin/sleep'));
    spawnSync('crun', ['spec'], { cwd: bundle });
    const spec = JSON.parse(spawnSync('cat', ['config.json'], { cwd: bundle, encoding: 'utf8' }).stdout);
    spec.process.args = ['/bin/sleep', '1000'];
    spec.process.terminal = false;
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
    const times: number[] = [];
    for (let i = 0; i < 10; i++) {
      const id = `keelson-bench-${process.pid}-${i}`;
      const started = performance.now();
      const result = spawnSync('crun', ['run', '--detach', id], { cwd: bundle, stdio: 'ignore' });
      times.push(performance.now() - started);
      spawnSync('crun', ['delete', '--force', id]);
      if (result.status !== 0) return undefined;
    }
    return quantile(times, 0.5);
  } finally {
    rmSync(bundle, { recursive: true, force: true });
  }
}

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
