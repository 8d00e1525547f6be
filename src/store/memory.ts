/** The store's memory: the newest versions in order, and the events of the window. */
import { Ring } from './ring.js';
import { SortedVersions } from './sorted.js';
import {
  type Key,
  type Listed,
  type ListOptions,
  RevisionError,
  type StoreEvent,
  type Watcher,
} from './store.js';
import type { Version } from './version.js';
import { type EventLog, type Progress, RingWatcher } from './watcher.js';

interface Bucket extends EventLog {
  name: string;
  versions: SortedVersions;
}

/** What a database holds, in the order of revisions. */
export interface Contents {
  newest: Map<Key, Version>;
  /** Those after `compacted`. */
  events: StoreEvent[];
  revision: number;
  compacted: number;
}

export class MemoryIndex implements Progress {
  revision: number;
  compacted: number;
  readonly #newest: Map<Key, Version>;
  /** By `<group>/<plural>/`. */
  readonly #buckets = new Map<string, Bucket>();
  readonly #all: EventLog = { events: new Ring(), watchers: new Set() };

  constructor({ newest, events, revision, compacted }: Contents) {
    this.revision = revision;
    this.compacted = compacted;
    this.#newest = newest;
    const inOrder = [...newest.values()].sort(byKey);
    for (const version of inOrder) this.#bucket(bucketName(version.key)).versions.set(version);
    for (const event of events) this.#log(event);
  }

  /** All events of the window. */
  get events(): Ring<StoreEvent> {
    return this.#all.events;
  }

  get(key: Key): Version | undefined {
    return this.#newest.get(key);
  }

  list(prefix: string, { revision, limit = Number.POSITIVE_INFINITY, after }: ListOptions = {}): Listed {
    if (revision !== undefined) this.#check(revision);
    const buckets = this.#bucketsOf(prefix);
    if (revision !== undefined && revision < this.revision) {
      const items = buckets.flatMap((bucket) => this.#versionsAt(bucket, prefix, revision));
      const page = new SortedVersions(items).range(prefix, after, limit);
      return { ...page, revision };
    }
    const result: Listed = { items: [], revision: this.revision, remaining: 0 };
    for (const { versions } of buckets) {
      const page = versions.range(prefix, after, limit - result.items.length);
      result.items = buckets.length === 1 ? page.items : result.items.concat(page.items);
      result.remaining += page.remaining;
    }
    return result;
  }

  sizes(): Map<string, number> {
    return new Map([...this.#buckets].map(([name, { versions }]) => [name, versions.length]));
  }

  watch(prefix: string, revision: number): Watcher {
    this.#check(revision);
    const name = bucketName(prefix);
    const log = name === '' ? this.#all : this.#bucket(name);
    return new RingWatcher(log, prefix, revision, this);
  }

  /** Makes the events of commits visible, all at the same moment. */
  publish(events: StoreEvent[], revision: number): void {
    const changed = new Set<EventLog>();
    this.revision = revision;
    for (const event of events) {
      const version = event.stored as Version;
      const bucket = this.#log(event);
      if (event.type === 'DELETED') {
        this.#newest.delete(version.key);
        bucket.versions.delete(version.key);
      } else {
        this.#newest.set(version.key, version);
        bucket.versions.set(version);
      }
      changed.add(bucket);
    }
    if (events.length > 0) changed.add(this.#all);
    for (const { watchers } of changed) for (const watcher of watchers) watcher.wake();
  }

  /** Forgets the events up to `revision` and returns them. */
  trim(revision: number): StoreEvent[] {
    this.compacted = Math.max(this.compacted, revision);
    const old = (event: StoreEvent) => event.revision <= revision;
    for (const { events } of this.#buckets.values()) events.dropBefore(events.search(old));
    return this.#all.events.dropBefore(this.#all.events.search(old));
  }

  /** Ends all watchers. */
  close(): void {
    for (const { watchers } of [this.#all, ...this.#buckets.values()])
      for (const watcher of watchers) watcher.end();
  }

  #check(revision: number): void {
    if (revision > this.revision) throw new RevisionError('future', revision, this.revision);
    if (revision < this.compacted) throw new RevisionError('compacted', revision, this.compacted);
  }

  #log(event: StoreEvent): Bucket {
    const bucket = this.#bucket(bucketName(event.stored.key));
    bucket.events.push(event);
    this.#all.events.push(event);
    return bucket;
  }

  #bucket(name: string): Bucket {
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      bucket = { name, versions: new SortedVersions(), events: new Ring(), watchers: new Set() };
      this.#buckets.set(name, bucket);
    }
    return bucket;
  }

  #bucketsOf(prefix: string): Bucket[] {
    const name = bucketName(prefix);
    if (name !== '') {
      const bucket = this.#buckets.get(name);
      return bucket === undefined ? [] : [bucket];
    }
    const found = [...this.#buckets.values()].filter((bucket) => bucket.name.startsWith(prefix));
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** What was there at an older revision: what is there now, with what changed since put back. */
  #versionsAt({ versions, events }: Bucket, prefix: string, revision: number): Version[] {
    const before = new Map<Key, Version | undefined>();
    for (let at = events.search((event) => event.revision <= revision); at < events.end; at++) {
      const { stored, previous } = events.at(at);
      if (stored.key.startsWith(prefix) && !before.has(stored.key))
        before.set(stored.key, previous as Version | undefined);
    }
    const { items } = versions.range(prefix, undefined, Number.POSITIVE_INFINITY);
    const same = items.filter((version) => !before.has(version.key));
    const restored = [...before.values()].filter((version) => version !== undefined);
    return restored.length === 0 ? same : same.concat(restored).sort(byKey);
  }
}

/** The first two segments of a key or prefix with their slashes, or '' when there are not so many. */
function bucketName(key: string): string {
  return key.slice(0, key.indexOf('/', key.indexOf('/') + 1) + 1);
}

function byKey(a: Version, b: Version): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
