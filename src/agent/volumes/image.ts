/** Image volumes: the files of an image, for reading only (KEP-4639). */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { mountLayers } from '../../runtime/images/mount.js';
import { makeFolder } from '../../runtime/make-folder.js';
import type { Image, SandboxConfig } from '../../runtime/types.js';

const FOLDER = 'kubernetes.io~image';
const NOTE = '.id';

/** Mounts the image's layers on `path`, with the files as those of the pod's own users. Idempotent. */
export async function mountImage(
  path: string,
  { id, layers }: Image,
  users: SandboxConfig['users'],
): Promise<string> {
  await makeFolder(path);
  const [here, above] = await Promise.all([stat(path), stat(dirname(path))]);
  if (here.dev !== above.dev) return path;
  await writeFile(path + NOTE, id);
  await mountLayers(path, layers, { users });
  return path;
}

/** Ids of the images that are volumes of pods: they must not be removed. */
export async function volumeImages(podsDir: string): Promise<string[]> {
  const found: string[] = [];
  for (const uid of await readdir(podsDir).catch(() => [])) {
    const folder = join(podsDir, uid, 'volumes', FOLDER);
    for (const name of await readdir(folder).catch(() => []))
      if (name.endsWith(NOTE)) found.push(await readFile(join(folder, name), 'utf8').catch(() => ''));
  }
  return found;
}
