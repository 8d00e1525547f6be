/** COPY and ADD: the entries of the layer that they make. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { itemOf } from '../../runtime/images/changes.js';
import { byPath, type TarItem } from '../../runtime/images/tar-writer.js';
import type { UnionEntry, UnionView } from '../../runtime/images/union.js';
import type { CopySource } from './context.js';
import type { ModeChange } from './file-mode.js';
import type { RemoteFile } from './remote.js';

/** What ADD has fetched. */
export interface RemoteSource extends RemoteFile {
  /** Where it is on the host. */
  path: string;
  address: string;
}

export interface CopyRequest {
  source: CopySource;
  /** Paths or patterns in the source. */
  from: string[];
  /** Files that are told in the Dockerfile itself. */
  inline: { name: string; content: Buffer }[];
  /** Absolute; a `/` at its end says that it is a folder. */
  to: string;
  /** The file system that it goes to. */
  target: UnionView;
  owner: { uid: number; gid: number } | undefined;
  mode?: ModeChange | undefined;
  remotes?: RemoteSource[];
  /** Files keep the folders that their sources tell: those after `/./`, else all. */
  keepParents?: boolean;
  /** Leaves out what is in a folder, by its path there, or a file, by its name. */
  excludes?: ((path: string) => boolean) | undefined;
  /** Unpacks what is an archive, and gives the files' folder; undefined for what is none. */
  unpack?(path: string, isRemote: boolean): Promise<UnionView | undefined>;
}

/** What is in the layer, folders before what is in them. @throws Error that says what is missing. */
export async function copyItems(request: CopyRequest): Promise<TarItem[]> {
  const { to, target, inline, remotes = [], keepParents } = request;
  const sources = await findSources(request);
  const resolved = await target.resolve(to);
  const there = await target.entry(resolved);
  const several = sources.length + inline.length + remotes.length > 1;
  if (several && !to.endsWith('/') && !there?.stat.isDirectory())
    throw new Error(`with more than one source, the destination has to be a folder and end with a /: ${to}`);
  const layer = new LayerItems(request, resolved);
  const intoFolder = to.endsWith('/') || several || keepParents || there?.stat.isDirectory();
  const place = async (name: string) => {
    if (intoFolder) await layer.folder(resolved);
    return intoFolder ? join(resolved, name) : resolved;
  };
  for (const { name, content } of inline) layer.file(await place(name), content);
  for (const remote of remotes) {
    const view = await request.unpack?.(remote.path, true);
    if (view) await layer.unpacked(view, resolved);
    else if (intoFolder && !remote.name)
      throw new Error(`cannot determine filename from url: ${remote.address}`);
    else await layer.remote(remote, await place(remote.name));
  }
  for (const { path, entry, kept } of sources) {
    const view = entry.stat.isFile() ? await request.unpack?.(entry.source, false) : undefined;
    if (view) await layer.unpacked(view, resolved);
    else if (entry.stat.isDirectory()) {
      const folder = keepParents ? join(resolved, kept) : resolved;
      await layer.folder(folder);
      await layer.contents(path, folder);
    } else await layer.one(entry, await place(keepParents ? kept : basename(path)));
  }
  await layer.addParents();
  return [...layer.items.values()].sort((a, b) => byPath(a.path, b.path));
}

interface Found {
  path: string;
  entry: UnionEntry;
  /** Of its path what is kept with `--parents`. */
  kept: string;
}

async function findSources({ source, from, excludes }: CopyRequest): Promise<Found[]> {
  const found: Found[] = [];
  for (const pattern of from) {
    const clean = join('/', pattern);
    const paths = /[*?[]/.test(clean) ? await matches(source.view, clean) : [clean];
    const before = found.length;
    const pivot = pattern.indexOf('/./');
    const dropped = pivot < 0 ? 0 : join('/', pattern.slice(0, pivot)).split('/').filter(Boolean).length;
    for (const path of paths) {
      const entry = await source.view.entry(await source.view.resolve(path));
      const isLeftOut = path !== '/' && source.ignores(path.slice(1));
      if (entry && !entry.stat.isDirectory() && excludes?.(basename(path))) continue;
      if (entry && (!isLeftOut || (entry.stat.isDirectory() && source.hasExceptions)))
        found.push({ path, entry, kept: path.split('/').filter(Boolean).slice(dropped).join('/') });
    }
    if (found.length === before && !excludes)
      throw new Error(
        `"${pattern}" is not in ${source.name}${source.keepsOwners ? '' : ', or .dockerignore leaves it out'}`,
      );
  }
  return found;
}

/** Paths that a pattern of Go's `filepath.Match` means. */
async function matches(view: UnionView, pattern: string): Promise<string[]> {
  let paths = ['/'];
  for (const part of pattern.split('/').filter(Boolean)) {
    const test = globPattern(part);
    const next: string[] = [];
    for (const path of paths) {
      if (!/[*?[\\]/.test(part)) next.push(join(path, part));
      else
        for (const name of await view.names(await view.resolve(path)))
          if (test.test(name)) next.push(join(path, name));
    }
    paths = next;
  }
  return paths;
}

export function globPattern(part: string): RegExp {
  let source = '';
  for (let at = 0; at < part.length; at++) {
    const char = part[at]!;
    const close = char === '[' ? part.indexOf(']', at + 2) : -1;
    if (char === '*') source += '.*';
    else if (char === '?') source += '.';
    else if (close > 0) {
      source += `[${part.slice(at + 1, close).replace(/\\(?![\\\]^-])/g, '\\\\')}]`;
      at = close;
    } else source += (char === '\\' ? part[++at]! : char).replace(/[.+^${}()|[\]\\*?]/g, '\\$&');
  }
  return new RegExp(`^${source}$`, 's');
}

class LayerItems {
  readonly items = new Map<string, TarItem>();
  readonly #request: CopyRequest;
  readonly #destination: string;

  constructor(request: CopyRequest, destination: string) {
    this.#request = request;
    this.#destination = destination;
  }

  #put(item: TarItem, keepsOwners = this.#request.source.keepsOwners): void {
    const { owner, mode } = this.#request;
    const { xattrs, ...rest } = item;
    const by = owner ?? (keepsOwners ? { uid: item.uid ?? 0, gid: item.gid ?? 0 } : { uid: 0, gid: 0 });
    const changed = { ...rest, ...by, ...(keepsOwners && xattrs ? { xattrs } : {}) };
    if (mode && item.kind !== 'link') changed.mode = mode(item.mode ?? 0, item.kind === 'folder');
    this.items.set(item.path, changed as TarItem);
  }

  /** The folders above, as they are below: the layer tells all that is in it. */
  async addParents(): Promise<void> {
    for (const path of [...this.items.keys()])
      for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
        const parent = path.slice(0, at);
        if (this.items.has(parent)) break;
        const there = await this.#request.target.entry(`/${parent}`);
        this.items.set(
          parent,
          (there && (await itemOf(parent, there))) ?? { path: parent, kind: 'folder', mode: 0o755, mtime: 0 },
        );
      }
  }

  file(path: string, content: Buffer): void {
    this.#put({ path: path.slice(1), kind: 'file', mode: 0o644, mtime: 0, content });
  }

  async remote({ path, mtime }: RemoteSource, to: string): Promise<void> {
    const item = (await itemOf(to.slice(1), { source: path, stat: await lstat(path) }))!;
    this.#put({ ...item, mtime });
  }

  /** A folder that is to be there; an existing one stays as it is. */
  async folder(path: string): Promise<void> {
    if (path === '/' || this.items.has(path.slice(1))) return;
    const there = await this.#request.target.entry(path);
    if (there?.stat.isDirectory()) return;
    if (there) throw new Error(`cannot copy to ${path}: it is no folder`);
    this.#put({ path: path.slice(1), kind: 'folder', mode: 0o755, mtime: 0 }, false);
    if (path !== this.#destination || this.#request.mode === undefined) return;
    // The mode is that of the files: a folder without x could not be entered.
    const own = this.items.get(path.slice(1))!;
    own.mode = 0o755;
  }

  async one(entry: UnionEntry, to: string): Promise<void> {
    const there = await this.#request.target.entry(to);
    if (there?.stat.isDirectory()) throw new Error(`cannot copy over the folder ${to}`);
    const item = await itemOf(to.slice(1), entry);
    if (item) this.#put(item);
  }

  /** All that is in a folder of the source. */
  async contents(folder: string, to: string, within = ''): Promise<void> {
    const { view, ignores, hasExceptions } = this.#request.source;
    const real = await view.resolve(folder);
    for (const name of await view.names(real)) {
      const path = join(real, name);
      const inner = join(within, name);
      if (this.#request.excludes?.(inner)) continue;
      const entry = (await view.entry(path))!;
      const isLeftOut = ignores(join(folder, name).slice(1));
      if (isLeftOut && !(entry.stat.isDirectory() && hasExceptions)) continue;
      const target = await this.#place(join(to, name), entry);
      if (!entry.stat.isDirectory()) {
        await this.one(entry, target);
        continue;
      }
      const before = this.items.size;
      if (!isLeftOut) this.#put((await itemOf(target.slice(1), entry))!);
      await this.contents(join(folder, name), target, inner);
      if (isLeftOut && this.items.size > before) this.#put((await itemOf(target.slice(1), entry))!);
    }
  }

  async unpacked(view: UnionView, to: string): Promise<void> {
    await this.folder(to);
    const walk = async (folder: string): Promise<void> => {
      for (const name of await view.names(folder)) {
        const path = join(folder, name);
        const entry = (await view.entry(path))!;
        const target = await this.#place(join(to, path), entry);
        const item = await itemOf(target.slice(1), entry);
        if (item) this.#put(item, true);
        if (entry.stat.isDirectory()) await walk(path);
      }
    };
    await walk('/');
  }

  /** A folder goes to where a symlink of the same name leads, as `/lib` to `/usr/lib`. */
  async #place(path: string, entry: UnionEntry): Promise<string> {
    const { target } = this.#request;
    if (!entry.stat.isDirectory()) return path;
    const there = await target.entry(path);
    if (!there?.stat.isSymbolicLink()) return path;
    const led = await target.resolve(path);
    return (await target.entry(led))?.stat.isDirectory() ? led : path;
  }
}

/** The same for the same names, modes, owners and contents, whatever the times. */
export async function digestOf(items: TarItem[]): Promise<string> {
  const hash = createHash('sha256');
  for (const item of items) {
    const { mtime: _, xattrs, ...facts } = item;
    const { content, source, ...rest } = facts as { content?: Buffer; source?: string };
    hash.update(`${JSON.stringify(rest)}\n`);
    for (const [name, value] of Object.entries(xattrs ?? {}))
      hash.update(`${name}=${value.toString('hex')}\n`);
    if (content) hash.update(content);
    if (source)
      for await (const chunk of createReadStream(source, { highWaterMark: 1 << 18 })) hash.update(chunk);
  }
  return hash.digest('hex');
}
