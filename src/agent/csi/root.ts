/** The kubelet's folder of a node: where it is, and its end. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../../runtime/mount-points.js';
import { MNT_DETACH, native } from '../../runtime/native.js';

const MS_BIND = 4096;
const MS_REC = 1 << 14;
const MS_SHARED = 1 << 20;
const NOTE = 'kubelet-root';

/** For whoever takes the node down. */
export async function noteKubeletRoot(dataDir: string, root: string): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  await writeFile(join(dataDir, NOTE), root);
}

/** Unmounts what drivers have mounted, and removes what the agent has made: never the drivers' own files. */
export async function removeKubeletRoot(dataDir: string): Promise<void> {
  const root = await readFile(join(dataDir, NOTE), 'utf8').catch(() => undefined);
  if (root === undefined) return;
  await removeTree(join(root, 'pods'));
  await removeTree(join(root, 'plugins/kubernetes.io'));
  if (await mountOf(root)) await native.umount(root, MNT_DETACH);
  if (root === join(dataDir, 'kubelet')) await removeTree(root);
  await rm(join(dataDir, NOTE), { force: true });
}

/** Makes the folder one in which mounts of a container reach the node, and those of the node containers. */
export async function shareRoot(root: string): Promise<void> {
  const here = await mountOf(root);
  if (here?.includes('shared:')) return;
  await mkdir(root, { recursive: true });
  if (here === undefined) await native.mount(root, root, '', MS_BIND | MS_REC, '');
  await native.mount('', root, '', MS_SHARED, '');
}

/** The line of mountinfo of what is mounted there. */
async function mountOf(path: string): Promise<string | undefined> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table.split('\n').findLast((line) => line.split(' ')[4] === path);
}
