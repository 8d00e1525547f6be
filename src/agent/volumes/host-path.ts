/** hostPath volumes and the checks of their types (kubelet `host_path.go`). */

import type { Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '../../runtime/make-folder.js';
import { VolumeError } from './payloads.js';

const CHECKS: Record<string, [ok: (s: Stats) => boolean, what: string]> = {
  Directory: [(s) => s.isDirectory(), 'directory'],
  File: [(s) => s.isFile(), 'file'],
  Socket: [(s) => s.isSocket(), 'socket file'],
  CharDevice: [(s) => s.isCharacterDevice(), 'character device'],
  BlockDevice: [(s) => s.isBlockDevice(), 'block device'],
};

/** Makes what is to be made; throws VolumeError if the path is not what `type` says. */
export async function hostPath(path: string, type = ''): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (type === 'DirectoryOrCreate' && !found) await makeFolder(path, 0o755);
  else if (type === 'FileOrCreate' && !found) {
    await makeFolder(dirname(path));
    await (await open(path, 'a', 0o644)).close();
  } else if (type !== '') {
    const [ok, what] = CHECKS[type.replace('OrCreate', '')] ?? [() => true, ''];
    if (!found || !ok(found)) throw new VolumeError(`hostPath type check failed: ${path} is not a ${what}`);
  } else if (!found) {
    // A runtime makes a folder of what is not there.
    await makeFolder(path, 0o755);
  }
  return path;
}
