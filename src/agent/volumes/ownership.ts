/** fsGroup: gives the files of a volume to a group (kubelet `volume_linux.go`). */
import { chmod, lchown, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const SETGID = 0o2000;
const FILE_RW = 0o660;
const FILE_RO = 0o440;
const DIRECTORY = 0o110 | SETGID;

export interface Ownership {
  fsGroup: number;
  /** Leaves all as it is when the volume's own folder is right already. */
  onRootMismatch: boolean;
  readOnly: boolean;
}

export async function setOwnership(path: string, ownership: Ownership): Promise<void> {
  const { fsGroup, onRootMismatch, readOnly } = ownership;
  if (onRootMismatch) {
    const { gid, mode } = await lstat(path);
    const wanted = (readOnly ? FILE_RO : FILE_RW) | DIRECTORY;
    if (gid === fsGroup && (mode & wanted) === wanted) return;
  }
  await own(path, ownership);
}

/** The content first: the folder itself then tells that all is done. */
async function own(path: string, ownership: Ownership): Promise<void> {
  const stats = await lstat(path);
  if (stats.isDirectory()) for (const name of await readdir(path)) await own(join(path, name), ownership);
  await lchown(path, stats.uid, ownership.fsGroup);
  if (stats.isSymbolicLink()) return;
  const mask = (ownership.readOnly ? FILE_RO : FILE_RW) | (stats.isDirectory() ? DIRECTORY : 0);
  await chmod(path, (stats.mode & 0o7777) | mask);
}
