/** What pods leave on a node's disk: for a node that is taken down. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '#types';
import { podFolders, removeTree } from '../volumes/volumes.js';
import { logDirectory } from './container-config.js';
import type { Allocation } from './resize.js';

/** Unmounts and removes the folders of all pods below `podsDir`, and their logs. Their sandboxes must be gone. */
export async function removeLeftovers(podsDir: string): Promise<void> {
  for (const uid of await podFolders(podsDir)) await removeLeftover(join(podsDir, uid));
}

/** That of one pod, by its folder. */
export async function removeLeftover(dir: string): Promise<void> {
  const saved = await savedPod(dir);
  if (saved) await rm(logDirectory(saved.pod), { recursive: true, force: true });
  await removeTree(dir);
}

/** The pod as its worker has written it down, and what it had been given. */
export async function savedPod(dir: string): Promise<{ pod: Pod; allocation?: Allocation } | undefined> {
  try {
    const { allocation, ...pod } = JSON.parse(await readFile(join(dir, 'pod.json'), 'utf8'));
    return { pod, allocation };
  } catch {
    return undefined;
  }
}
