/** The same container started by Debian's crun. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { times } from '../load.js';
import { quantile } from '../report.js';
import { hasTool, output } from '../tools.js';

/** Milliseconds for `crun run --detach` of so many busybox sleeps, median of 10; undefined without crun. */
export async function crunStart(containers: number): Promise<number | undefined> {
  if (!hasTool('crun')) return undefined;
  const bundle = mkdtempSync(join(tmpdir(), 'keelson-bench-'));
  const started: string[] = [];
  try {
    mkdirSync(join(bundle, 'rootfs/bin'), { recursive: true });
    for (const folder of ['proc', 'sys', 'dev']) mkdirSync(join(bundle, 'rootfs', folder));
    copyFileSync('/bin/busybox', join(bundle, 'rootfs/bin/sleep'));
    await output('crun', 'spec', '--bundle', bundle);
    const config = join(bundle, 'config.json');
    const spec = JSON.parse(readFileSync(config, 'utf8'));
    spec.process.args = ['/bin/sleep', '1000'];
    spec.process.terminal = false;
    writeFileSync(config, JSON.stringify(spec));
    const taken = await times(10, async () => {
      for (let i = 0; i < containers; i++) {
        const id = `keelson-bench-${process.pid}-${started.length}`;
        started.push(id);
        // Its container would keep the pipes of a detached start open.
        await output('sh', '-c', 'exec crun run --detach --bundle "$0" "$1" >/dev/null 2>&1', bundle, id);
      }
    });
    return quantile(taken, 0.5);
  } catch {
    return undefined;
  } finally {
    for (const id of started) await output('crun', 'delete', '--force', id).catch(() => undefined);
    rmSync(bundle, { recursive: true, force: true });
  }
}
