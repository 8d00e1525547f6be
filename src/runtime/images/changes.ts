/** What a container has written, as the entries of a new layer. */
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { native } from '../native.js';
import type { TarItem } from './tar-writer.js';
import { isWhiteout, type UnionEntry, type UnionView } from './union.js';

/** Attributes that a layer keeps. */
const kept = (name: string): boolean =>
  name === 'security.capability' || name.startsWith('user.') || name.startsWith('system.posix_acl_');

export async function keptAttributes(path: string): Promise<Record<string, Buffer>> {
  const all = Object.entries(await native.xattrs(path));
  return Object.fromEntries(all.filter(([name]) => kept(name)));
}

/** What a tar tells of something on disk. `path` is where it goes. */
export async function itemOf(path: string, { source, stat }: UnionEntry): Promise<TarItem | undefined> {
  const common = {
    path,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: Math.floor(stat.mtimeMs / 1000),
  };
  if (stat.isSymbolicLink()) return { ...common, kind: 'link', target: await readlink(source) };
  const xattrs = await keptAttributes(source);
  const withXattrs = Object.keys(xattrs).length ? { ...common, xattrs } : common;
  if (stat.isDirectory()) return { ...withXattrs, kind: 'folder' };
  if (stat.isFile()) return { ...withXattrs, kind: 'copy', source, size: stat.size };
  if (stat.isFIFO()) return { ...common, kind: 'pipe' };
  if (stat.isCharacterDevice() || stat.isBlockDevice())
    return {
      ...common,
      kind: stat.isBlockDevice() ? 'block' : 'character',
      major: ((stat.rdev >>> 8) & 0xfff) | (Math.floor(stat.rdev / 2 ** 32) & ~0xfff),
      minor: (stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00),
    };
  // A socket is of no use without its process.
  return undefined;
}

/**
 * The entries of an overlay's upper folder, in the order of their names: hidden files as `.wh.`, folders that hide
 * what was below them with `.wh..wh..opq`. `stubs`: absolute paths that were made only to be mounted on.
 */
export async function* changes(
  upper: string,
  below: UnionView,
  stubs: ReadonlySet<string>,
): AsyncGenerator<TarItem> {
  const links = new Map<string, string>();
  for (const name of (await readdir(upper)).sort()) yield* walk(name);

  async function* walk(path: string): AsyncGenerator<TarItem> {
    const source = join(upper, path);
    const stat = await lstat(source);
    if (isWhiteout(stat)) {
      const slash = path.lastIndexOf('/') + 1;
      yield {
        path: `${path.slice(0, slash)}.wh.${path.slice(slash)}`,
        kind: 'file',
        mode: 0,
        mtime: 0,
        content: Buffer.alloc(0),
      };
      return;
    }
    const lower = await below.entry(`/${path}`);
    if (stubs.has(`/${path}`) && !lower && stat.isFile() && stat.size === 0) return;
    const item = await itemOf(path, { source, stat });
    if (!item) return;
    if (item.kind !== 'folder') {
      yield linked(item, `${stat.dev} ${stat.ino}`, stat.nlink);
      return;
    }
    const opaque = (await native.xattrs(source))['trusted.overlay.opaque']?.toString() === 'y';
    let told = !isLike(lower, { source, stat }) || opaque;
    if (stubs.has(`/${path}`) && !lower) told = false;
    if (told) yield item;
    if (opaque)
      yield { path: `${path}/.wh..wh..opq`, kind: 'file', mode: 0, mtime: 0, content: Buffer.alloc(0) };
    for (const name of (await readdir(source)).sort())
      for await (const child of walk(`${path}/${name}`)) {
        if (!told) yield item;
        told = true;
        yield child;
      }
  }

  function linked(item: TarItem, inode: string, count: number): TarItem {
    if (item.kind !== 'copy' || count < 2) return item;
    const first = links.get(inode);
    if (first === undefined) links.set(inode, item.path);
    return first === undefined
      ? item
      : { path: item.path, kind: 'hardlink', target: first, mode: item.mode ?? 0, mtime: item.mtime ?? 0 };
  }
}

/** A folder that was copied up for what happened in it. */
function isLike(lower: UnionEntry | undefined, { stat }: UnionEntry): boolean {
  if (!lower) return false;
  const { mode, uid, gid } = lower.stat;
  return mode === stat.mode && uid === stat.uid && gid === stat.gid;
}
