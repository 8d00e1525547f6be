/** Looks into a stack of unpacked layers as overlayfs shows it, without mounting it. */
import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { native } from '../native.js';

/** Something in the stack. */
export interface UnionEntry {
  /** Where it is on the host. */
  source: string;
  stat: Stats;
}

/** Overlayfs' mark of something that is hidden. */
export const isWhiteout = (stat: Stats): boolean => stat.isCharacterDevice() && stat.rdev === 0;

export async function isOpaque(folder: string): Promise<boolean> {
  return (await native.xattrs(folder))['trusted.overlay.opaque']?.toString() === 'y';
}

/** Paths in it are absolute; `..` never leads above its root. */
export class UnionView {
  private readonly layers: string[];

  /** `layers`: folders, lowest first. */
  constructor(layers: string[]) {
    this.layers = layers.toReversed();
  }

  /** What is at a path whose folders are no symlinks. */
  async entry(path: string): Promise<UnionEntry | undefined> {
    for await (const found of this.all(path)) return found;
    return undefined;
  }

  /** Names in a folder, sorted. */
  async names(path: string): Promise<string[]> {
    const names = new Map<string, boolean>();
    for await (const { source, stat } of this.all(path)) {
      if (!stat.isDirectory()) break;
      for (const name of await readdir(source))
        if (!names.has(name)) names.set(name, !isWhiteout(await lstat(join(source, name))));
      if (await isOpaque(source)) break;
    }
    return [...names].flatMap(([name, shown]) => (shown ? [name] : [])).sort();
  }

  /** The same path without symlinks; what is missing at its end stays as it is. @throws Error when they go in circles. */
  async resolve(path: string, followLast = true): Promise<string> {
    const rest = path.split('/').filter((part) => part && part !== '.');
    let at = '/';
    for (let hops = 0; rest.length > 0; ) {
      const part = rest.shift()!;
      if (part === '..') {
        at = join(at, '..');
        continue;
      }
      const next = join(at, part);
      const found = rest.length > 0 || followLast ? await this.entry(next) : undefined;
      if (!found?.stat.isSymbolicLink()) {
        at = next;
        continue;
      }
      if (++hops > 40) throw new Error(`too many symbolic links in ${path}`);
      const target = await readlink(found.source);
      if (target.startsWith('/')) at = '/';
      rest.unshift(...target.split('/').filter((piece) => piece && piece !== '.'));
    }
    return at;
  }

  /** What the layers have at a path, topmost first, down to the one that hides those below. */
  private async *all(path: string): AsyncGenerator<UnionEntry> {
    const parts = path.split('/').filter(Boolean);
    for (const layer of this.layers) {
      const seen = await walk(layer, parts);
      if (seen === 'hidden') return;
      if (seen.entry) yield seen.entry;
      if (seen.last || (seen.entry && !seen.entry.stat.isDirectory())) return;
    }
  }
}

/** `last`: lower layers do not count for this path. */
async function walk(
  layer: string,
  parts: string[],
): Promise<'hidden' | { entry?: UnionEntry; last: boolean }> {
  let source = layer;
  let last = false;
  let stat: Stats = await lstat(layer);
  for (const [i, part] of parts.entries()) {
    if (i > 0 && (await isOpaque(source))) last = true;
    source = join(source, part);
    const found = await lstat(source).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (!found) return { last };
    if (isWhiteout(found)) return 'hidden';
    if (i < parts.length - 1 && !found.isDirectory()) return 'hidden';
    stat = found;
  }
  return { entry: { source, stat }, last };
}
