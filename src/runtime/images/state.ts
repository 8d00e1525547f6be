/** What the store knows, in one JSON file that several agents of a machine share: written whole, under a lock. */
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { native } from '../native.js';
import type { ImageConfig } from '../types.js';

export interface ImageRecord {
  id: string;
  config: ImageConfig;
  /** Chain IDs, lowest first. */
  layers: string[];
  size: number;
  /** Small blobs kept with the image: manifest and config. */
  blobs: string[];
}

/** What a step of a build made. */
export interface CacheRecord {
  /** ISO 8601. */
  created: string;
  /** Chain IDs, lowest first, its own last. */
  layers: string[];
  /** Of its own layer. */
  diffId: string;
  /** Milliseconds since the epoch. */
  usedAt: number;
}

export interface State {
  version: 1;
  images: Record<string, ImageRecord>;
  /** Name with tag → image id. */
  tags: Record<string, string>;
  /** Name with digest → image id. */
  digests: Record<string, string>;
  /** Chain ID → unpacked layer. */
  layers: Record<string, { diffId: string; size: number }>;
  /** Name that an alias served → the alias' name. */
  aliased: Record<string, string>;
  /** Steps of builds by their keys; absent in files of older versions. */
  cache?: Record<string, CacheRecord>;
  /** From which files the built-in images were made. */
  builtin: string;
}

const emptyState = (): State => ({
  version: 1,
  images: {},
  tags: {},
  digests: {},
  layers: {},
  aliased: {},
  builtin: '',
});

export class StateFile {
  private readonly path: string;
  private readonly lockPath: string;
  private stamp = '';
  private state = emptyState();
  /** What is on the disk can't be read, or is gone: `state` is what was known before. */
  private damaged = false;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    dir: string,
    private readonly logger?: Logger,
  ) {
    this.path = join(dir, 'index.json');
    this.lockPath = join(dir, 'lock');
  }

  /** The newest state, also when another process wrote it. Not to be changed. */
  current(): State {
    const stat = statSync(this.path, { bigint: true, throwIfNoEntry: false });
    const stamp = stat ? `${stat.ino} ${stat.mtimeNs} ${stat.size}` : '';
    if (stamp !== this.stamp) {
      this.state = this.read() ?? this.state;
      this.stamp = stamp;
    }
    return this.state;
  }

  /** Nothing is known, though there may have been something: it never was there, or can't be read. */
  get isLost(): boolean {
    const { images, layers } = this.current();
    return Object.keys(images).length === 0 && Object.keys(layers).length === 0;
  }

  private read(): State | undefined {
    this.damaged = true;
    try {
      const state = JSON.parse(readFileSync(this.path, 'utf8')) as Partial<State> | null;
      if (!state?.images || !state.layers) throw new Error('it is no index of images');
      this.damaged = false;
      return { ...emptyState(), ...state };
    } catch (err) {
      this.logger?.error({ err, path: this.path }, 'the index of images is damaged, and is written again');
      return undefined;
    }
  }

  /** Runs `change` alone on this machine, with its own copy of the state, which is saved afterwards. */
  update<T>(change: (state: State) => T | Promise<T>): Promise<T> {
    const run = this.queue.then(() => this.locked(change));
    this.queue = run.catch(() => {});
    return run;
  }

  private async locked<T>(change: (state: State) => T | Promise<T>): Promise<T> {
    const lock = await open(this.lockPath, 'a');
    try {
      await native.flock(lock.fd, true);
      const before = JSON.stringify(this.current());
      const state = JSON.parse(before) as State;
      const result = await change(state);
      const after = JSON.stringify(state);
      if (after !== before || this.damaged) await this.save(after);
      return result;
    } finally {
      await lock.close();
    }
  }

  private async save(text: string): Promise<void> {
    const temporary = `${this.path}.${randomBytes(6).toString('hex')}`;
    await writeFile(temporary, text, { flush: true });
    await rename(temporary, this.path);
  }
}
