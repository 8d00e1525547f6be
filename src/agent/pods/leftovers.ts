/** What pods leave on a node's disk: for a node that is taken down. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '#types';
import { podFolders, removeTree } from '../volumes/volumes.js';
import { logDirectory } from './container-config.js';

/** Unmounts and removes the folders of all pods below `podsDir`, and their logs. Their sandboxes must be gone. */
export async function removeLeftovers(podsDir: string): Promise<void> {
  for (const uid of await podFolders(podsDir)) await removeLeftover(join(podsDir, uid));
}

/** That of one pod, by its folder. */
export async function removeLeftover(dir: string): Promise<void> {
  const pod = await savedPod(dir);
  if (pod) await rm(logDirectory(pod), { recursive: true, force: true });
  await removeTree(dir);
}

/** The pod as its worker has written it down. */
export async function savedPod(dir: string): Promise<Pod | undefined> {
  try {
    return JSON.parse(await readFile(join(dir, 'pod.json'), 'utf8'));
  } catch {
    return undefined;
  }
}
