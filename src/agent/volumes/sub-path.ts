/** subPath: a part of a volume, held fast so that no link in it can lead out (kubelet `subpath_linux`). */
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readlink, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { makeFolder } from '../../runtime/make-folder.js';
import { native } from '../../runtime/native.js';

const MS_BIND = 4096;
const O_PATH = 0o10000000;

const isWithin = (root: string, path: string): boolean => path === root || path.startsWith(`${root}/`);

/** Bind-mounts the part of `volume` on `target` and returns `target`. A folder is made if there is nothing. */
export async function mountSubPath(volume: string, subPath: string, target: string): Promise<string> {
  const clean = normalize(subPath);
  if (clean.startsWith('/')) throw new Error(`error SubPath \`${subPath}\` must not be an absolute path`);
  if (clean.split('/').includes('..'))
    throw new Error(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
  const root = await realpath(volume);
  if (!(await stat(join(root, clean)).catch(() => undefined)))
    await makeFolders(root, clean).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EROFS') throw error;
      throw new Error(`subPath ${JSON.stringify(subPath)} does not exist in a volume that is only read`);
    });
  const real = await realpath(join(root, clean));
  if (!isWithin(root, real)) throw new Error(`subPath ${JSON.stringify(subPath)} leads out of its volume`);
  const handle = await open(real, constants.O_NOFOLLOW | O_PATH);
  try {
    // What is opened can't be exchanged any more: it is judged and mounted by its descriptor.
    const held = `/proc/self/fd/${handle.fd}`;
    if (!isWithin(root, await readlink(held)))
      throw new Error(`subPath ${JSON.stringify(subPath)} leads out of its volume`);
    await makeFolder(dirname(target));
    if ((await handle.stat()).isDirectory()) await makeFolder(target);
    else await writeFile(target, '', { flag: 'a' });
    await native.mount(`/proc/${process.pid}/fd/${handle.fd}`, target, '', MS_BIND, '');
  } finally {
    await handle.close();
  }
  return target;
}

/** One part after the other, through no link; what is made has the permissions of the volume. */
async function makeFolders(root: string, path: string): Promise<void> {
  const mode = (await stat(root)).mode & 0o777;
  let current = root;
  for (const part of path.split('/')) {
    current = join(current, part);
    const found = await lstat(current).catch(() => undefined);
    if (found?.isSymbolicLink()) throw new Error(`cannot make ${current}: a link is in the way`);
    if (found) continue;
    await mkdir(current);
    await chmod(current, mode);
  }
}
