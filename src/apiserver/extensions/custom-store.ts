/**
 * A store as seen in one version of a custom kind: objects are converted, pruned and defaulted when they are read,
 * and converted to the stored version when they are written.
 */
import type { CustomKind } from '../../api/extensions/custom-resource.js';
import { deepCopy, deepFreeze, type KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import {
  ConflictError,
  type Key,
  type Store,
  type Stored,
  type StoreEvent,
  type Watcher,
  type Write,
} from '../../store/store.js';
import { prefixOf } from '../keys.js';
import { type ConversionWebhook, isRenaming, renamed } from './convert.js';
import { StoredView } from './view.js';

export class CustomStore implements Store {
  readonly #store: Store;
  readonly #resource: Resource;
  readonly #custom: CustomKind;
  readonly #webhook: ConversionWebhook;
  readonly #prefix: string;
  /** The name that views are kept under with what is stored. */
  readonly #view: string;
  /**
   * Versions that only a webhook could convert, as this request goes on with them: one that is no longer the newest
   * loses its commit, and is read again.
   */
  readonly #pinned = new Map<Key, Stored>();

  constructor(store: Store, resource: Resource, custom: CustomKind, webhook: ConversionWebhook) {
    this.#store = store;
    this.#resource = resource;
    this.#custom = custom;
    this.#webhook = webhook;
    this.#prefix = prefixOf({ ...resource, namespaced: true }, '');
    this.#view = `${resource.apiVersion} of ${custom.definition.id}`;
  }

  get revision() {
    return this.#store.revision;
  }

  get compacted() {
    return this.#store.compacted;
  }

  /** Makes an object ready for `get`. */
  async prime(key: Key): Promise<void> {
    if (isRenaming(this.#custom.definition)) return;
    const stored = this.#store.get(key);
    if (stored === undefined) this.#pinned.delete(key);
    else this.#pinned.set(key, (await this.#read([stored]))[0] as Stored);
  }

  get(key: Key): Stored | undefined {
    if (!this.#owns(key)) return this.#store.get(key);
    const pinned = this.#pinned.get(key);
    if (pinned) return pinned;
    const stored = this.#store.get(key);
    return stored && (this.#readNow(stored) ?? stored);
  }

  async list(prefix: string, options?: Parameters<Store['list']>[1]) {
    const listed = await this.#store.list(prefix, options);
    return this.#owns(prefix) ? { ...listed, items: await this.#read(listed.items) } : listed;
  }

  async commit(writes: Write[]): Promise<(Stored | undefined)[]> {
    const own = writes.filter(({ key }) => this.#owns(key));
    const converted = await this.#toStored(own);
    try {
      const results = await this.#store.commit(writes.map((write) => converted.get(write) ?? write));
      const written = results.filter((stored) => stored !== undefined && this.#owns(stored.key)) as Stored[];
      const views = new Map((await this.#read(written)).map((view) => [view.key, view]));
      for (const [key, view] of views) if (this.#pinned.has(key)) this.#pinned.set(key, view);
      return results.map((stored) => stored && (views.get(stored.key) ?? stored));
    } catch (error) {
      if (error instanceof ConflictError) for (const { key } of own) await this.prime(key);
      throw error;
    }
  }

  watch(prefix: string, revision: number): Watcher {
    const watcher = this.#store.watch(prefix, revision);
    return {
      get revision() {
        return watcher.revision;
      },
      next: async (signal) => this.#events(await watcher.next(signal)),
      close: () => watcher.close(),
    };
  }

  compact(revision: number): Promise<void> {
    return this.#store.compact(revision);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #owns(key: string): boolean {
    return key.startsWith(this.#prefix);
  }

  async #events(events: readonly StoreEvent[]): Promise<StoreEvent[]> {
    const views = await this.#read(
      events.flatMap(({ stored, previous }) => (previous ? [stored, previous] : [stored])),
    );
    let next = 0;
    return events.map((event) => ({
      ...event,
      stored: views[next++] as Stored,
      previous: event.previous && (views[next++] as Stored),
    }));
  }

  /** The view of a stored version; undefined where a webhook must be asked for it first. */
  #readNow(stored: Stored): Stored | undefined {
    const known = stored.encodings.get(this.#view) as Stored | undefined;
    if (known) return known;
    const { object } = stored;
    const { apiVersion } = this.#resource;
    if (object.apiVersion === apiVersion) return this.#keep(stored, deepCopy(object));
    if (!isRenaming(this.#custom.definition)) return undefined;
    return this.#keep(stored, renamed(this.#asStored(object), apiVersion));
  }

  async #read(items: readonly Stored[]): Promise<Stored[]> {
    const missing = items.filter((stored) => this.#readNow(stored) === undefined);
    if (missing.length > 0) {
      const objects = missing.map(({ object }) => this.#asStored(object));
      const converted = await this.#webhook(this.#custom.definition, objects, this.#resource.apiVersion);
      missing.forEach((stored, i) => {
        this.#keep(stored, deepCopy(converted[i] as KubeObject));
      });
    }
    return items.map((stored) => this.#readNow(stored) as Stored);
  }

  /** With the defaults of the version that it is stored in. */
  #asStored(object: KubeObject): KubeObject {
    const draft = deepCopy(object);
    this.#custom.definition.versions.get(object.apiVersion)?.defaults?.(draft);
    return draft;
  }

  /** Keeps the view with what is stored, which it often is itself. */
  #keep(stored: Stored, draft: KubeObject): Stored {
    const { object } = stored;
    this.#custom.prune(draft);
    this.#resource.defaults?.(draft);
    const same = JSON.stringify(draft) === JSON.stringify(object);
    const view = same ? stored : new StoredView(stored.key, stored.revision, deepFreeze(draft));
    stored.encodings.set(this.#view, view);
    return view;
  }

  async #toStored(writes: Write[]): Promise<Map<Write, Write>> {
    const { storage, versions } = this.#custom.definition;
    const convert = async (object: KubeObject): Promise<KubeObject> => {
      if (object.apiVersion === storage.apiVersion || !versions.has(object.apiVersion)) return object;
      if (isRenaming(this.#custom.definition)) return renamed(object, storage.apiVersion);
      const [converted] = await this.#webhook(this.#custom.definition, [object], storage.apiVersion);
      const draft = deepCopy(converted as KubeObject);
      storage.custom?.prune(draft);
      return draft;
    };
    const converted = new Map<Write, Write>();
    for (const write of writes) {
      const { object, last } = write;
      converted.set(write, {
        ...write,
        object: object && (await convert(object)),
        ...(last ? { last: await convert(last) } : {}),
      });
    }
    return converted;
  }
}
