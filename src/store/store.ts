/** The store as everything above sees it: versions of objects in the order of one revision. */
import type { KubeObject } from '../api/machinery/types.js';

/** Keys are `<group>/<plural>/<namespace>/<name>`; namespace is empty for cluster-scoped objects, and the core group is `core`. */
export type Key = string;

/** One version of one object. Shared by all readers: never changed. */
export interface Stored {
  readonly key: Key;
  /** The revision of the commit that wrote this version; its `metadata.resourceVersion`. */
  readonly revision: number;
  /** Frozen; its `metadata.resourceVersion` is set. */
  readonly object: KubeObject;
  /** The object as JSON in UTF-8, made once. */
  readonly json: Buffer;
  /** Other encodings (table row, protobuf), made on first use and kept with the version. */
  readonly encodings: Map<string, unknown>;
}

/** A put (object given) or a delete (object null; a final version may be given for the watchers). */
export interface Write {
  key: Key;
  object: KubeObject | null;
  /** Only if the newest version has this revision; 0: only if there is none; absent: in any case. */
  expected?: number;
  /** For a delete: what watchers get as the object's last state; the current version when absent. */
  last?: KubeObject;
}

/** A commit lost its compare-and-swap: `actual` is the newest revision of the key, 0 if there is none. */
export class ConflictError extends Error {
  constructor(
    readonly key: Key,
    readonly actual: number,
  ) {
    super(`${key} is at revision ${actual}`);
    this.name = 'ConflictError';
  }
}

/** The revision asked for is older than the window, or (`future`) not yet there. */
export class RevisionError extends Error {
  constructor(
    readonly kind: 'compacted' | 'future',
    readonly requested: number,
    readonly limit: number,
  ) {
    super(`revision ${requested} is ${kind === 'compacted' ? 'older than' : 'newer than'} ${limit}`);
    this.name = 'RevisionError';
  }
}

/** The store can't do what it was asked, whatever was asked. Commits that got `write-failed` may be tried again. */
export class StoreError extends Error {
  constructor(
    readonly kind: 'closed' | 'locked' | 'damaged' | 'undecipherable' | 'write-failed',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'StoreError';
  }
}

export type StoreEventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One change. `previous` lets selectors tell when an object comes into or leaves a filtered view. */
export interface StoreEvent {
  readonly type: StoreEventType;
  readonly revision: number;
  /** For DELETED: the last state, with `metadata.resourceVersion` of the delete's revision. */
  readonly stored: Stored;
  readonly previous: Stored | undefined;
}

export interface ListOptions {
  /** Exactly this revision (within the window); the newest when absent. */
  revision?: number;
  /** At most so many. */
  limit?: number;
  /** Start after this key. */
  after?: Key;
}

export interface Listed {
  items: Stored[];
  /** The revision that the list shows. */
  revision: number;
  /** How many matching keys follow the last item. */
  remaining: number;
}

/**
 * Reads events of one prefix by position in a shared ring. `next` resolves with one or more events in
 * order, or [] once `signal` aborts; rejects with RevisionError('compacted') when the reader fell out of the window.
 */
export interface Watcher {
  next(signal?: AbortSignal): Promise<readonly StoreEvent[]>;
  /** Everything up to this revision has been delivered (for bookmarks). */
  readonly revision: number;
  close(): void;
}

export interface Store {
  /** The newest revision that is durable and visible. */
  readonly revision: number;
  /** The oldest revision that a watch may resume from. */
  readonly compacted: number;
  /** The newest visible version. */
  get(key: Key): Stored | undefined;
  /** Keys that start with `prefix`, in order of key. Throws RevisionError. */
  list(prefix: string, options?: ListOptions): Promise<Listed>;
  /**
   * Commits all writes at one revision, or none. Resolves when they are durable and visible, with each
   * write's new version (undefined for a delete of what was not there). Rejects with ConflictError.
   */
  commit(writes: Write[]): Promise<(Stored | undefined)[]>;
  /** Events after `revision` for keys that start with `prefix`. Throws RevisionError. */
  watch(prefix: string, revision: number): Watcher;
  /** Forgets superseded versions at or below `revision`. */
  compact(revision: number): Promise<void>;
  /**
   * Writes anew what the transformer would encode otherwise by now (it was written plain, or with an older key), and
   * lets no trace of the old form stay on disk. Resolves with how many values that were. No revision is taken.
   */
  reencode?(): Promise<number>;
  /** How many objects there are, by `<group>/<plural>/`. */
  sizes?(): ReadonlyMap<string, number>;
  /** Bytes that its files take on disk. */
  diskBytes?(): Promise<number>;
  close(): Promise<void>;
}
