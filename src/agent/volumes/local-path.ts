/** The folders of this node's local-path volumes: made when a volume appears, removed with it if its policy says so. */
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { PersistentVolume } from '#types';
import { LOCAL_PATH_NODE } from '../../api/storage/annotations.js';
import type { NodeObjects } from '../hub/objects.js';

/** What is remembered of a volume, so that it is known when the API has forgotten it. */
interface Note {
  uid: string;
  policy: string;
}

export interface LocalPathOptions {
  node: string;
  /** Where the folders are, named after their volumes. */
  dir: string;
  objects: NodeObjects;
  logger: Logger;
}

const NAME = /^[a-z0-9][-a-z0-9.]*$/;

export class LocalPathVolumes {
  readonly #options: LocalPathOptions;
  /** One thing at a time for each volume. */
  readonly #work = new Map<string, Promise<void>>();

  constructor(options: LocalPathOptions) {
    this.#options = options;
    const { objects } = options;
    objects.on('persistentvolumes', (name, volume: PersistentVolume | undefined, old) => {
      if (volume ? this.#isOwn(volume) : old && this.#isOwn(old)) void this.#sync(name);
    });
    void objects.synced('persistentvolumes').then(() => this.#sweep());
  }

  /** Resolves once the folder of a volume is there, if it is one of these. */
  async ready(volume: PersistentVolume): Promise<void> {
    if (this.#isOwn(volume)) await this.#sync(volume.metadata.name);
  }

  async close(): Promise<void> {
    await Promise.all(this.#work.values());
  }

  #isOwn({ metadata, spec }: PersistentVolume): boolean {
    const { node, dir } = this.#options;
    const { name } = metadata;
    // Only folders that are named after their volume are made and removed, whatever a volume says.
    const isHere = metadata.annotations?.[LOCAL_PATH_NODE] === node && spec.local?.path === join(dir, name);
    return isHere && NAME.test(name);
  }

  #sync(name: string): Promise<void> {
    const before = this.#work.get(name) ?? Promise.resolve();
    const work: Promise<void> = before
      .then(() => this.#bring(name))
      .catch((error) =>
        this.#options.logger.error({ err: error, volume: name }, 'a local volume is not in order'),
      )
      .finally(() => {
        if (this.#work.get(name) === work) this.#work.delete(name);
      });
    this.#work.set(name, work);
    return work;
  }

  /** Makes the folder what the API says now. */
  async #bring(name: string): Promise<void> {
    const { dir, objects } = this.#options;
    const volume = objects.get<PersistentVolume>('persistentvolumes', name);
    const known = await this.#note(name);
    if (volume === undefined) {
      if (known) await this.#remove(name, known);
      return;
    }
    const note: Note = {
      uid: volume.metadata.uid ?? '',
      policy: volume.spec.persistentVolumeReclaimPolicy ?? 'Retain',
    };
    if (known && known.uid === note.uid && known.policy === note.policy) return;
    await mkdir(dir, { recursive: true, mode: 0o755 });
    const folder = join(dir, name);
    const made = await mkdir(folder, { recursive: true });
    // Whoever the pod runs as may write, as with other provisioners of folders.
    if (made !== undefined) await chmod(folder, 0o777);
    await writeFile(`${this.#noteFile(name)}.new`, JSON.stringify(note));
    await rename(`${this.#noteFile(name)}.new`, this.#noteFile(name));
  }

  async #remove(name: string, { policy }: Note): Promise<void> {
    const { dir, logger } = this.#options;
    if (policy === 'Delete') {
      await rm(join(dir, name), { recursive: true, force: true });
      logger.info({ volume: name }, 'the folder of a deleted volume is removed');
    }
    await rm(this.#noteFile(name), { force: true });
  }

  /** What the API has forgotten while no agent was here. */
  async #sweep(): Promise<void> {
    const { dir } = this.#options;
    const names = (await readdir(dir).catch(() => [])).filter((file) => /^\..*\.json$/.test(file));
    await Promise.all(names.map((file) => this.#sync(file.slice(1, -'.json'.length))));
  }

  #noteFile(name: string): string {
    return join(this.#options.dir, `.${name}.json`);
  }

  async #note(name: string): Promise<Note | undefined> {
    try {
      return JSON.parse(await readFile(this.#noteFile(name), 'utf8'));
    } catch {
      return undefined;
    }
  }
}
