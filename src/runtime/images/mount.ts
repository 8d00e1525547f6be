/** Stacks of layers as overlayfs mounts of the host. */
import { mkdir, mkdtemp, rmdir, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { MNT_DETACH, native } from '../native.js';

const MS_RDONLY = 1;
/** Of a mount's options: a page. */
const MAX_OPTIONS = 4000;

export interface LayerMountOptions {
  /** Folders for what is written; without them there is only reading. */
  writable?: { upper: string; work: string };
  /** Of the host, that are 0 and so on in the files' place. */
  users?: { base: number; size: number } | undefined;
}

/** Mounts layers (folders, lowest first) on a folder. */
export async function mountLayers(
  path: string,
  layers: string[],
  { writable, users }: LayerMountOptions = {},
): Promise<void> {
  const lower = layers.toReversed();
  if (!writable) {
    // Without an upper folder overlayfs wants two lower ones.
    const empty = `${path}.empty`;
    await mkdir(empty, { recursive: true });
    lower.push(empty);
  }
  const mount = (folders: string[]) => {
    const { upper, work } = writable ?? { upper: '', work: '' };
    const above = writable ? `,upperdir=${escaped(upper)},workdir=${escaped(work)}` : '';
    const options = `lowerdir=${folders.map(escaped).join(':')}${above}`;
    return native.mount('overlay', path, 'overlay', writable ? 0 : MS_RDONLY, options);
  };
  const length = lower.reduce((sum, folder) => sum + escaped(folder).length + 1, 0);
  if (users || length > MAX_OPTIONS) await atShortPaths(lower, users, mount);
  else await mount(lower);
}

/** Overlayfs has mounts of its own of its layers: those that it was given are not needed later. */
async function atShortPaths(
  folders: string[],
  users: LayerMountOptions['users'],
  mount: (places: string[]) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp('/run/keelson-layers-');
  const places = folders.map((_, i) => join(dir, String(i)));
  try {
    if (users) {
      for (const place of places) await mkdir(place);
      await native.mountMapped(folders, places, users.base, users.size);
    } else for (const [i, folder] of folders.entries()) await symlink(folder, places[i]!);
    await mount(places);
  } finally {
    if (users) for (const place of places) await native.umount(place, MNT_DETACH).catch(() => {});
    // One by one: what is still mounted keeps its content.
    for (const place of places) await (users ? rmdir(place) : unlink(place)).catch(() => {});
    await rmdir(dir).catch(() => {});
  }
}

const escaped = (path: string): string => path.replaceAll(/[\\:,]/g, '\\$&');
