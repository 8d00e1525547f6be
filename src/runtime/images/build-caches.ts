/** Folders that commands of builds keep between builds (`RUN --mount=type=cache`). */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from './digest.js';

/** Whether several commands may have a folder at once, wait for each other, or get one each. */
export type Sharing = 'shared' | 'locked' | 'private';

export interface CacheFolder {
  path: string;
  /** It was not there before. */
  isNew: boolean;
  release(): void;
}

export class BuildCaches {
  readonly #dir: string;
  readonly #users = new Map<string, number>();
  readonly #turns = new Map<string, Promise<void>>();

  constructor(dir: string) {
    this.#dir = join(dir, 'build-caches');
  }

  /** The folder of that name, which stays until it is released. */
  async use(name: string, sharing: Sharing): Promise<CacheFolder> {
    let key = sha256(name).slice('sha256:'.length, 'sha256:'.length + 24);
    if (sharing === 'private') for (let i = 1, first = key; this.#users.has(key); i++) key = `${first}-${i}`;
    this.#users.set(key, (this.#users.get(key) ?? 0) + 1);
    const leave = sharing === 'locked' ? await this.#turn(key) : () => {};
    const path = join(this.#dir, key);
    const isNew = !existsSync(path);
    await mkdir(path, { recursive: true });
    const now = new Date();
    await utimes(path, now, now);
    const release = () => {
      leave();
      const left = this.#users.get(key)! - 1;
      if (left) this.#users.set(key, left);
      else this.#users.delete(key);
    };
    return { path, isNew, release };
  }

  /** Resolves when those before have left. */
  async #turn(key: string): Promise<() => void> {
    const before = this.#turns.get(key);
    let leave = () => {};
    const own = new Promise<void>((resolve) => {
      leave = resolve;
    });
    const last = before ? before.then(() => own) : own;
    this.#turns.set(key, last);
    void last.then(() => {
      if (this.#turns.get(key) === last) this.#turns.delete(key);
    });
    await before;
    return leave;
  }

  /** Removes those that `choose` means by the time of their last use and nobody has now; gives their number. */
  async drop(choose: (usedAt: number) => boolean): Promise<number> {
    let count = 0;
    for (const key of await readdir(this.#dir).catch(() => [])) {
      const path = join(this.#dir, key);
      if (this.#users.has(key) || !choose((await stat(path)).mtimeMs)) continue;
      await rm(path, { recursive: true, force: true });
      count++;
    }
    return count;
  }
}
