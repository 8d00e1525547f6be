/** Pods as their workers write them down, for a later agent; and what they leave on a node's disk. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '#types';
import { makeFolder } from '../../runtime/make-folder.js';
import { removeTree } from '../../runtime/mount-points.js';
import { podFolders } from '../volumes/volumes.js';
import { logDirectory } from './container-config.js';
import type { Allocation } from './resize.js';

/** With the status that was told last, and the resources that it had been given. */
export interface SavedPod {
  pod: Pod;
  allocation?: Allocation;
}

/** Of the file in the pod's own folder. */
export const RECORD = 'pod.json';

/** Into the pod's own folder. */
export async function savePod(dir: string, { pod, allocation }: SavedPod): Promise<void> {
  const { apiVersion, kind, metadata, spec, status } = pod;
  await makeFolder(dir, 0o750);
  const file = join(dir, RECORD);
  await writeFile(`${file}.new`, JSON.stringify({ apiVersion, kind, metadata, spec, status, allocation }));
  await rename(`${file}.new`, file);
}

/** Undefined if there is none, or none that is whole. */
export async function savedPod(dir: string): Promise<SavedPod | undefined> {
  try {
    const { allocation, ...pod } = JSON.parse(await readFile(join(dir, RECORD), 'utf8'));
    return { pod, allocation };
  } catch {
    return undefined;
  }
}

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
