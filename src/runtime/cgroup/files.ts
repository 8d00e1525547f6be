/** Folder operations that both cgroup versions share. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

export function makeFolders(path: string): void {
  mkdirSync(path, { recursive: true });
}

/** Does it again when somebody else has just removed a group on the way, since it was empty. */
export function whileParentsGo(create: () => void): void {
  for (let attempt = 0; ; attempt++)
    try {
      create();
      return;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || attempt >= 5) throw error;
    }
}

/** A file's text, '' when the group is gone. */
export function readGroupFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes(errorCode(error))) return '';
    throw error;
  }
}

export function subfolders(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(path, entry.name));
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes(errorCode(error))) return [];
    throw error;
  }
}

/** Removes the tree from its leaves up. A group stays busy until its last process is reaped: asks again until `deadline`. */
export async function removeTree(path: string, deadline: number): Promise<void> {
  for (const folder of subfolders(path)) await removeTree(folder, deadline);
  for (let wait = 1; ; wait = Math.min(wait * 2, 50))
    try {
      await rmdir(path);
      return;
    } catch (error) {
      if (['ENOENT', 'ENODEV'].includes(errorCode(error))) return;
      if (errorCode(error) !== 'EBUSY' || performance.now() > deadline) throw error;
      await sleep(wait);
    }
}

/** Removes `path` below `root` and its parents, as far as they are empty. */
export function pruneFolders(root: string, path: string): void {
  for (let at = path; at !== '.' && at !== '/' && at !== ''; at = dirname(at))
    try {
      rmdirSync(join(root, at));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') return;
    }
}
