/** What is mounted on this machine. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MNT_DETACH, native } from './native.js';

/** All paths that something is mounted on. */
export async function mountPoints(): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table.split('\n').map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '));
}

/**
 * Unmounts what is mounted below the folder, then removes it: never the content of a mount. With `except`, what begins
 * with that stays in it.
 */
export async function removeTree(dir: string, except?: string): Promise<void> {
  const below = (await mountPoints()).filter((path) => path.startsWith(`${dir}/`));
  for (const path of below.sort().reverse()) await native.umount(path, MNT_DETACH);
  if (except === undefined) return rm(dir, { recursive: true, force: true });
  for (const name of await readdir(dir).catch(() => []))
    if (!name.startsWith(except)) await rm(join(dir, name), { recursive: true, force: true });
}
