/** A store as seen in another version of a kind: handlers read and write objects of that version, and nothing else changes. */
import { deepFreeze, type KubeObject } from '../api/machinery/types.js';
import type { Conversion } from '../api/resources/define.js';
import type { Store, Stored, StoreEvent, Watcher, Write } from '../store/store.js';

/** `store` for the keys of one resource as `apiVersion`. What is converted once is kept with what is stored. */
export function convertingStore(store: Store, apiVersion: string, conversion: Conversion): Store {
  const read = (stored: Stored): Stored => converted(stored, apiVersion, conversion);
  const maybe = (stored: Stored | undefined): Stored | undefined => stored && read(stored);
  return {
    get revision() {
      return store.revision;
    },
    get compacted() {
      return store.compacted;
    },
    get: (key) => maybe(store.get(key)),
    async list(prefix, options) {
      const listed = await store.list(prefix, options);
      return { ...listed, items: listed.items.map(read) };
    },
    async commit(writes) {
      const own = ({ object, last }: Write) => (object ?? last)?.apiVersion === apiVersion;
      return (
        await store.commit(writes.map((write) => (own(write) ? toStored(write, conversion) : write)))
      ).map(maybe);
    },
    watch: (prefix, revision) => convertedWatcher(store.watch(prefix, revision), read),
    compact: (revision) => store.compact(revision),
    close: () => store.close(),
  };
}

function toStored(write: Write, { toStored: convert }: Conversion): Write {
  const { object, last } = write;
  return { ...write, object: object && convert(object), ...(last ? { last: convert(last) } : {}) };
}

function convertedWatcher(watcher: Watcher, read: (stored: Stored) => Stored): Watcher {
  const event = ({ type, revision, stored, previous }: StoreEvent): StoreEvent => ({
    type,
    revision,
    stored: read(stored),
    previous: previous && read(previous),
  });
  return {
    get revision() {
      return watcher.revision;
    },
    next: async (signal) => (await watcher.next(signal)).map(event),
    close: () => watcher.close(),
  };
}

function converted(stored: Stored, apiVersion: string, { storedApiVersion, fromStored }: Conversion): Stored {
  const known = stored.encodings.get(apiVersion) as Stored | undefined;
  if (known) return known;
  const { key, revision, object } = stored;
  const version = object.apiVersion === storedApiVersion ? deepFreeze(fromStored(object)) : object;
  const view = new ConvertedVersion(key, revision, version);
  stored.encodings.set(apiVersion, view);
  return view;
}

class ConvertedVersion implements Stored {
  readonly encodings = new Map<string, unknown>();
  #json: Buffer | undefined;

  constructor(
    readonly key: string,
    readonly revision: number,
    readonly object: KubeObject,
  ) {}

  get json(): Buffer {
    this.#json ??= Buffer.from(JSON.stringify(this.object));
    return this.#json;
  }
}
