/** Unpacked layers: one folder a chain ID, shared by all images that have it. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { removeTree } from '../mount-points.js';
import { type NativeError, native } from '../native.js';
import { ImageError } from '../types.js';
import { decompressor } from './decompress.js';
import { checkingStream, sha256 } from './digest.js';
import { SharedWork } from './shared-work.js';
import type { State, StateFile } from './state.js';

/** Where a layer's bytes come from. */
export interface LayerSource {
  /** Names it in errors. */
  name: string;
  /** Of the bytes as they come; not checked again when undefined. */
  digest?: string | undefined;
  size?: number | undefined;
  open(signal: AbortSignal): Promise<Readable>;
}

export class LayerStore {
  private readonly work = new SharedWork<void>();
  private readonly layersDir: string;
  private readonly temporaryDir: string;
  private closed = false;

  constructor(
    dir: string,
    private readonly state: StateFile,
  ) {
    this.layersDir = join(dir, 'layers');
    this.temporaryDir = join(dir, 'tmp');
  }

  /** Short, since a mount's options have to hold the paths of all layers. */
  path(chainId: string): string {
    return join(this.layersDir, chainId.slice('sha256:'.length, 'sha256:'.length + 24));
  }

  has(chainId: string): boolean {
    return chainId in this.state.current().layers && existsSync(this.path(chainId));
  }

  /** Also on the disk, whatever has happened to that. */
  areThere(chainIds: string[]): boolean {
    return chainIds.every((chainId) => existsSync(this.path(chainId)));
  }

  /** Unpacks a layer over its parents (chain IDs, lowest first) unless it is there. */
  async ensure(
    chainId: string,
    diffId: string,
    parents: string[],
    source: LayerSource,
    signal?: AbortSignal,
  ): Promise<void> {
    while (!this.has(chainId)) {
      try {
        await this.work.run(chainId, signal, (shared) => this.make(chainId, diffId, parents, source, shared));
      } catch (error) {
        // Another pull, whose work this was, may have been given up.
        if ((error as Error).name !== 'AbortError' || signal?.aborted || this.closed) throw error;
      }
    }
  }

  private async make(
    chainId: string,
    diffId: string,
    parents: string[],
    source: LayerSource,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.has(chainId)) return;
    await this.inTemporary(async (folder) => {
      const root = join(folder, 'root');
      await mkdir(root, { mode: 0o755 });
      const { size } = await this.unpack(root, diffId, parents, source, signal);
      await this.publish(chainId, diffId, root, size);
    });
  }

  /** Unpacks a new layer over its parents (chain IDs, lowest first); `note` is saved together with it. */
  add(
    parents: string[],
    source: LayerSource,
    signal: AbortSignal,
    note: (state: State, layer: { chainId: string; diffId: string }) => void,
  ): Promise<{ chainId: string; diffId: string }> {
    return this.inTemporary(async (folder) => {
      const root = join(folder, 'root');
      await mkdir(root, { mode: 0o755 });
      const { size, diffId } = await this.unpack(root, undefined, parents, source, signal);
      const chainId = parents.length ? sha256(`${parents.at(-1)} ${diffId}`) : diffId;
      await this.publish(chainId, diffId, root, size, (state) => note(state, { chainId, diffId }));
      return { chainId, diffId };
    });
  }

  /** Any content is right when `diffId` is undefined. */
  private async unpack(
    root: string,
    diffId: string | undefined,
    parents: string[],
    source: LayerSource,
    signal: AbortSignal,
  ): Promise<{ size: number; diffId: string }> {
    const unpacker = new native.LayerUnpacker(
      root,
      parents.map((parent) => this.path(parent)),
    );
    const raw = await source.open(signal);
    const hash = createHash('sha256');
    try {
      const unzip = await decompressor(raw);
      const steps = [
        ...(source.digest ? [checkingStream(source.name, source.digest, source.size)] : []),
        ...(unzip ? [unzip] : []),
      ];
      await pipeline(
        [
          raw,
          ...steps,
          async (chunks: AsyncIterable<Buffer>) => {
            for await (const chunk of chunks) {
              hash.update(chunk);
              await unpacker.write(chunk);
            }
          },
        ] as never,
        { signal } as never,
      );
      const { size } = await unpacker.close();
      const actual = `sha256:${hash.digest('hex')}`;
      if (diffId !== undefined && actual !== diffId)
        throw new ImageError(
          'Corrupt',
          `${source.name} does not match its diff ID: expected ${diffId}, got ${actual}`,
        );
      return { size, diffId: actual };
    } catch (error) {
      throw asImageError(error, source.name);
    } finally {
      raw.destroy();
    }
  }

  /** The rename and the note of it are one step for everybody who holds the lock. */
  private publish(
    chainId: string,
    diffId: string,
    root: string,
    size: number,
    note?: (state: State) => void,
  ): Promise<void> {
    return this.state.update(async (state) => {
      if (!state.layers[chainId] || !existsSync(this.path(chainId))) {
        await rm(this.path(chainId), { recursive: true, force: true });
        await rename(root, this.path(chainId));
        state.layers[chainId] = { diffId, size };
      }
      note?.(state);
    });
  }

  /** A folder for `work`, marked as in use by a lock that ends with this process. */
  async inTemporary<T>(work: (folder: string) => Promise<T>): Promise<T> {
    const folder = join(this.temporaryDir, randomBytes(8).toString('hex'));
    const mark = await this.state.update(async () => {
      await mkdir(folder, { mode: 0o700 });
      const file = await open(join(folder, 'lock'), 'w');
      await native.flock(file.fd, true);
      return file;
    });
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
      await mark.close();
    }
  }

  /** Moves folders of layers that no image has any more out of the way; `state` is under the lock. */
  async collect(state: State): Promise<() => Promise<void>> {
    const used = new Set(
      [...Object.values(state.images), ...Object.values(state.cache ?? {})].flatMap(({ layers }) => layers),
    );
    const trash = join(this.temporaryDir, `trash-${randomBytes(8).toString('hex')}`);
    await mkdir(trash, { recursive: true });
    for (const chainId of Object.keys(state.layers)) {
      if (used.has(chainId)) continue;
      delete state.layers[chainId];
      await rename(this.path(chainId), join(trash, chainId.slice(7, 31))).catch(ignoreMissing);
    }
    return () => rm(trash, { recursive: true, force: true });
  }

  /** Removes what a killed process left: temporary folders without a living owner, layers that nobody noted. */
  async recover(): Promise<void> {
    await mkdir(this.layersDir, { recursive: true });
    await mkdir(this.temporaryDir, { recursive: true });
    await this.state.update(async (state) => {
      const known = new Set(Object.keys(state.layers).map((chainId) => this.path(chainId)));
      for (const name of await readdir(this.layersDir)) {
        const path = join(this.layersDir, name);
        if (!known.has(path)) await rm(path, { recursive: true, force: true });
      }
      const present = new Set(await readdir(this.layersDir));
      for (const chainId of Object.keys(state.layers))
        if (!present.has(chainId.slice(7, 31))) delete state.layers[chainId];
      for (const image of Object.values(state.images))
        if (image.layers.some((layer) => !state.layers[layer])) forgetImage(state, image.id);
      for (const [key, { layers }] of Object.entries(state.cache ?? {}))
        if (layers.some((layer) => !state.layers[layer])) delete state.cache![key];
      for (const name of await readdir(this.temporaryDir))
        await this.removeLeftover(join(this.temporaryDir, name));
    });
  }

  private async removeLeftover(folder: string): Promise<void> {
    let mark: FileHandle | undefined;
    try {
      mark = await open(join(folder, 'lock'), 'r').catch(() => undefined);
      if (mark) await native.flock(mark.fd, false);
      await removeTree(folder);
    } catch (error) {
      if ((error as NativeError).code !== 'EAGAIN') throw error;
    } finally {
      await mark?.close();
    }
  }

  close(): Promise<void> {
    this.closed = true;
    return this.work.close();
  }
}

/** Drops an image and its names from the state. */
export function forgetImage(state: State, id: string): void {
  delete state.images[id];
  for (const names of [state.tags, state.digests])
    for (const [name, target] of Object.entries(names)) if (target === id) delete names[name];
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

function asImageError(error: unknown, name: string): unknown {
  const { code, message } = error as NativeError;
  if (error instanceof ImageError || (error as Error).name === 'AbortError') return error;
  if (code === 'EBADMSG') return new ImageError('Corrupt', `${name} is corrupt: ${message}`);
  if (/^Z_|^ERR_ZSTD/.test(code ?? '')) return new ImageError('Corrupt', `${name} is corrupt: ${message}`);
  if (code === 'ENOSPC') return new ImageError('Internal', `no space left on the device to unpack ${name}`);
  return error;
}
