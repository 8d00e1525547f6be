/** Runs the pods of a folder of manifests, and follows its files. */
import { type FSWatcher, watch } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Logger } from 'pino';
import type { Pod } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { readManifests } from './manifests.js';

/** Editors write a file in several steps. */
const SETTLE_MS = 100;

export interface StaticPodsOptions {
  /** A folder, which is made if it is not there, or a file. */
  path: string;
  node: string;
  clock: Clock;
  logger: Logger;
  /** Runs a pod. */
  add(pod: Pod): void;
  /** Ends a pod; `gone` is called when nothing is left of it. */
  remove(pod: Pod): void;
}

export class StaticPods {
  readonly #options: StaticPodsOptions;
  /** What the files say, by UID. */
  #wanted = new Map<string, Pod>();
  /** What runs or ends, by UID. */
  readonly #running = new Map<string, Pod>();
  #told = new Set<string>();
  #watcher: FSWatcher | undefined;
  #cancel: (() => void) | undefined;
  #reading: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: StaticPodsOptions) {
    this.#options = options;
  }

  /** `left`: the static pods that an earlier agent had. Resolves when the files have been read once. */
  async start(left: Pod[]): Promise<void> {
    const { path } = this.#options;
    for (const pod of left) this.#running.set(pod.metadata.uid!, pod);
    const isFile = (await stat(path).catch(() => undefined))?.isFile();
    const folder = isFile ? dirname(path) : path;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#watcher = watch(folder, (_event, name) => {
      if (!isFile || name === null || name === basename(path)) this.#changed();
    });
    this.#watcher.on('error', (err) =>
      this.#options.logger.error({ err, path }, 'manifests are not watched any more'),
    );
    await this.#read();
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    this.#cancel?.();
  }

  has(uid: string): boolean {
    return this.#running.has(uid);
  }

  /** Nothing is left of a pod: another of its name may take its place. */
  gone(uid: string): void {
    if (this.#running.delete(uid)) this.#apply();
  }

  #changed(): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(SETTLE_MS, () => {
      this.#reading = this.#reading.then(() => this.#read());
    });
  }

  async #read(): Promise<void> {
    const { path, node, clock, logger } = this.#options;
    const { pods, errors } = await readManifests(path, node, clock.now());
    if (this.#closed) return;
    const told = new Set(errors.map(({ file, message }) => `${file} ${message}`));
    for (const { file, message } of errors)
      if (!this.#told.has(`${file} ${message}`))
        logger.error({ file, why: message }, 'no pod is made of a manifest');
    this.#told = told;
    this.#wanted = pods;
    this.#apply();
  }

  #apply(): void {
    const { add, remove } = this.#options;
    for (const [uid, pod] of this.#running) if (!this.#wanted.has(uid)) remove(pod);
    const names = new Set([...this.#running.values()].map(nameOf));
    for (const [uid, pod] of this.#wanted) {
      if (this.#running.has(uid) || names.has(nameOf(pod))) continue;
      this.#running.set(uid, pod);
      add(pod);
    }
  }
}

const nameOf = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;
