/** Files of a volume that change all at once: a timestamped folder behind the `..data` link (kubelet `AtomicWriter`). */
import {
  chmod,
  chown,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { makeFolder } from '../../runtime/make-folder.js';

export interface FileProjection {
  data: Buffer;
  /** Permission bits. */
  mode: number;
  /** Owner of the file, where it is not root. */
  uid?: number;
  gid?: number;
}

/** What `fsGroup` adds to the files of a volume that is only read. */
const GROUP_READ = 0o440;
/** And what its folders have then. */
const GROUP_FOLDER = 0o2755;

/** Relative path → file. */
export type Payload = Map<string, FileProjection>;

/** Brings the folder to the payload; does nothing if it is there already. Throws for paths that lead out of it. */
export async function writePayload(folder: string, payload: Payload, gid?: number): Promise<boolean> {
  for (const path of payload.keys())
    if (path.startsWith('/') || path.startsWith('..') || normalize(path) !== path)
      throw new Error(`invalid path in a volume: ${JSON.stringify(path)}`);
  await makeFolder(folder);
  const old = await readlink(join(folder, '..data')).catch(() => undefined);
  if (old !== undefined && (await isCurrent(join(folder, old), payload))) {
    // An agent may have ended after it exchanged the files, and before it made their links.
    await setLinks(folder, payload);
    return false;
  }
  const fresh = await writeVersion(folder, payload, gid);
  const link = join(folder, '..data_tmp');
  await rm(link, { force: true });
  await symlink(fresh, link);
  await rename(link, join(folder, '..data'));
  await setLinks(folder, payload);
  if (old !== undefined) await rm(join(folder, old), { recursive: true, force: true });
  return true;
}

async function writeVersion(folder: string, payload: Payload, gid: number | undefined): Promise<string> {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(/[-T:]/g, '_');
  const version = await mkdtemp(join(folder, `..${stamp}.`));
  await chmod(version, 0o755);
  for (const [path, { data, mode, uid, gid: own }] of payload) {
    const file = join(version, path);
    if (path.includes('/')) await makeFolder(dirname(file), 0o755);
    await writeFile(file, data, { mode });
    // The process's umask counted when the file was made; a group that owns the volume can read it.
    await chmod(file, gid === undefined ? mode : mode | GROUP_READ);
    const group = own ?? gid;
    if (uid !== undefined || group !== undefined) await chown(file, uid ?? 0, group ?? 0);
  }
  if (gid !== undefined) await giveFolders(version, payload, gid);
  return version.slice(folder.length + 1);
}

async function giveFolders(version: string, payload: Payload, gid: number): Promise<void> {
  const folders = new Set(['.']);
  for (const path of payload.keys())
    for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(at);
  for (const folder of folders) {
    await chown(join(version, folder), 0, gid);
    await chmod(join(version, folder), GROUP_FOLDER);
  }
}

/** One link for each first part of a path; what is not in the payload any more goes. */
async function setLinks(folder: string, payload: Payload): Promise<void> {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0]!));
  const present = await readdir(folder);
  for (const name of wanted) if (!present.includes(name)) await symlink(`..data/${name}`, join(folder, name));
  for (const name of present) if (!name.startsWith('..') && !wanted.has(name)) await rm(join(folder, name));
}

async function isCurrent(version: string, payload: Payload): Promise<boolean> {
  const files = await readdir(version, { recursive: true, withFileTypes: true }).catch(() => []);
  if (files.filter((file) => file.isFile()).length !== payload.size) return false;
  for (const [path, { data }] of payload) {
    const there = await readFile(join(version, path)).catch(() => undefined);
    if (!there?.equals(data)) return false;
  }
  return true;
}
