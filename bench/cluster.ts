/** The benchmark's cluster: beside any other on this machine. */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const CLUSTER = `bench-${process.pid}`;
export const DATA = `/var/lib/keelson/${CLUSTER}`;
const MAIN = join(dirname(fileURLToPath(import.meta.url)), '../src/cli/main.js');

/** Runs the CLI for the benchmark's cluster. @throws Error with what it printed when it fails. */
export function keelson(command: string, ...argv: string[]): string {
  const result = spawnSync(process.execPath, [MAIN, command, '--name', CLUSTER, ...argv], {
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`keelson ${command} failed: ${result.stderr}`);
  return result.stdout;
}
