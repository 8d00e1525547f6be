/** A cache of one resource that follows the API server by list and watch (client-go's reflector and shared informer). */
import type { Logger } from 'pino';
import type { Status } from '#types';
import { type Clock, systemClock } from '../api/machinery/clock.js';
import { StatusError } from '../api/machinery/status.js';
import { type KubeObject, objectKey, type WatchEvent } from '../api/machinery/types.js';
import type { ResourceClient } from './client.js';
import { Indexer, type Indexes } from './indexer.js';
import { Backoff, sleep } from './retry.js';

export interface Handlers<T extends KubeObject> {
  /** `initial`: it was there before the handler, or before the informer. */
  added?(object: T, initial: boolean): void;
  updated?(old: T, object: T): void;
  /** The last state that is known; after a lost connection it may not be the very last. */
  deleted?(last: T): void;
}

export interface InformerOptions<T extends KubeObject> {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  indexes?: Indexes<T>;
  clock?: Clock;
  logger?: Logger;
  random?: () => number;
}

type Notice<T extends KubeObject> = (handlers: Handlers<T>) => void;

/** A watch that the server ends sooner than this is not renewed at once. */
const SHORT_WATCH = 1000;
/** After so many notices of one list, others get a turn on the event loop. */
const NOTICES_A_TURN = 500;

/**
 * Objects are frozen and shared: whoever changes one makes a copy. Handlers run in the order of events,
 * after the cache has changed; they only take notes (usually: add a key to a queue).
 */
export class Informer<T extends KubeObject> {
  /** Resolves once the first list is in the cache and was handed to the handlers; never if closed before. */
  readonly synced: Promise<void>;
  readonly #client: ResourceClient<T>;
  readonly #options: InformerOptions<T>;
  readonly #clock: Clock;
  readonly #cache = new Indexer<T>();
  readonly #handlers = new Set<Handlers<T>>();
  readonly #abort = new AbortController();
  readonly #backoff: Backoff;
  #resolveSynced!: () => void;
  #hasSynced = false;
  #running: Promise<void> | undefined;
  #resourceVersion: string | undefined;

  constructor(client: ResourceClient<T>, options: InformerOptions<T> = {}) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff({ initial: 100, max: 30_000, jitter: 1, random: options.random });
    this.synced = new Promise((resolve) => {
      this.#resolveSynced = resolve;
    });
    if (options.indexes !== undefined) this.#cache.addIndexes(options.indexes);
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** By `namespace/name`, or `name` for what is cluster-scoped. */
  get(key: string): T | undefined {
    return this.#cache.get(key);
  }

  list(): T[] {
    return this.#cache.list();
  }

  byIndex(index: string, value: string): T[] {
    return this.#cache.byIndex(index, value);
  }

  /** Indexes may be added at any time; one that is there already stays. */
  addIndexes(indexes: Indexes<T>): void {
    this.#cache.addIndexes(indexes);
  }

  /** What is in the cache already is told as `added` before `on` returns. Returns what ends the subscription. */
  on(handlers: Handlers<T>): () => void {
    const own = { ...handlers };
    this.#handlers.add(own);
    for (const object of this.#cache.list()) this.#notify(own, (h) => h.added?.(object, true));
    return () => this.#handlers.delete(own);
  }

  start(): void {
    this.#running ??= this.#run(this.#abort.signal);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#handlers.clear();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const started = this.#clock.now();
      try {
        if (this.#resourceVersion === undefined) await this.#list(signal);
        await this.#watch(signal);
        if (this.#clock.now() - started >= SHORT_WATCH) continue;
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(error);
      }
      await sleep(this.#clock, this.#backoff.next(), signal);
    }
  }

  #failed(error: unknown): void {
    const { plural } = this.#client.resource;
    if (error instanceof StatusError && error.code === 410) {
      this.#options.logger?.debug({ resource: plural, err: error }, 'watch fell behind; listing again');
      this.#resourceVersion = undefined;
    } else this.#options.logger?.warn({ resource: plural, err: error }, 'list or watch failed; trying again');
  }

  #selection() {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return { namespace, labelSelector, fieldSelector };
  }

  async #list(signal: AbortSignal): Promise<void> {
    const list = await this.#client.list({ ...this.#selection(), signal });
    const notices = this.#replace(list.items);
    // Who subscribes from here on is told of what is in the cache by `on`.
    const present = [...this.#handlers];
    this.#resourceVersion = list.metadata.resourceVersion;
    for (let i = 0; i < notices.length; i++) {
      if (i > 0 && i % NOTICES_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      this.#tell(notices[i]!, present);
    }
    if (signal.aborted) return;
    this.#hasSynced = true;
    this.#resolveSynced();
  }

  /** Makes the cache equal to a list; what is no longer there was deleted while nobody watched. */
  #replace(items: T[]): Notice<T>[] {
    const notices: Notice<T>[] = [];
    const initial = !this.#hasSynced;
    const gone = new Set(this.#cache.keys());
    for (const object of items) {
      const key = objectKey(object);
      gone.delete(key);
      const old = this.#cache.get(key);
      if (old !== undefined && old.metadata.resourceVersion === object.metadata.resourceVersion) continue;
      this.#cache.set(object);
      notices.push(noticeOf(old, object, initial));
    }
    for (const key of gone) {
      const last = this.#cache.delete(key)!;
      notices.push((h) => h.deleted?.(last));
    }
    return notices;
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const events = this.#client.watch({
      ...this.#selection(),
      resourceVersion: this.#resourceVersion!,
      allowWatchBookmarks: true,
      timeoutSeconds: Math.round(300 * (1 + (this.#options.random ?? Math.random)())),
      signal,
    });
    for await (const event of events) {
      if (signal.aborted) return;
      this.#apply(event);
      this.#backoff.reset();
    }
  }

  #apply({ type, object }: WatchEvent<T>): void {
    if (type === 'ERROR') throw StatusError.from(object as unknown as Status);
    if (type === 'DELETED') {
      this.#cache.delete(objectKey(object));
      this.#tell((h) => h.deleted?.(object));
    } else if (type !== 'BOOKMARK') {
      const old = this.#cache.set(object);
      this.#tell(noticeOf(old, object, false));
    }
    this.#resourceVersion = object.metadata.resourceVersion;
  }

  #tell(notice: Notice<T>, to: Iterable<Handlers<T>> = this.#handlers): void {
    for (const handlers of to) if (this.#handlers.has(handlers)) this.#notify(handlers, notice);
  }

  #notify(handlers: Handlers<T>, notice: Notice<T>): void {
    try {
      notice(handlers);
    } catch (error) {
      this.#options.logger?.error({ resource: this.#client.resource.plural, err: error }, 'a handler failed');
    }
  }
}

/** The same name with another uid is another object: the old one was deleted in between. */
function noticeOf<T extends KubeObject>(old: T | undefined, object: T, initial: boolean): Notice<T> {
  if (old === undefined) return (h) => h.added?.(object, initial);
  if (old.metadata.uid === object.metadata.uid) return (h) => h.updated?.(old, object);
  return (h) => {
    h.deleted?.(old);
    h.added?.(object, false);
  };
}
