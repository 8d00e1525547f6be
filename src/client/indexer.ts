/** The objects of an informer by key, and by indexes that are kept as they change. */
import { type KubeObject, objectKey } from '../api/machinery/types.js';

/** The values under which an object is found. */
export type IndexFunction<T extends KubeObject> = (object: T) => string[];
export type Indexes<T extends KubeObject> = Record<string, IndexFunction<T>>;

interface Index<T extends KubeObject> {
  of: IndexFunction<T>;
  byValue: Map<string, Map<string, T>>;
}

export class Indexer<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`there is no index ${name}`);
    const found = index.byValue.get(value);
    return found === undefined ? [] : [...found.values()];
  }

  /** An index that is there already stays as it is. */
  addIndexes(indexes: Indexes<T>): void {
    for (const [name, of] of Object.entries(indexes)) {
      if (this.#indexes.has(name)) continue;
      const index: Index<T> = { of, byValue: new Map() };
      this.#indexes.set(name, index);
      for (const [key, object] of this.#objects) insert(index, key, object);
    }
  }

  /** Returns what was there before. */
  set(object: T): T | undefined {
    const key = objectKey(object);
    const old = this.#objects.get(key);
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) {
      if (old !== undefined) remove(index, key, old);
      insert(index, key, object);
    }
    return old;
  }

  delete(key: string): T | undefined {
    const old = this.#objects.get(key);
    if (old === undefined) return undefined;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) remove(index, key, old);
    return old;
  }
}

function insert<T extends KubeObject>(index: Index<T>, key: string, object: T): void {
  for (const value of index.of(object)) {
    let entry = index.byValue.get(value);
    if (entry === undefined) {
      entry = new Map();
      index.byValue.set(value, entry);
    }
    entry.set(key, object);
  }
}

function remove<T extends KubeObject>(index: Index<T>, key: string, object: T): void {
  for (const value of index.of(object)) {
    const entry = index.byValue.get(value);
    if (entry?.delete(key) && entry.size === 0) index.byValue.delete(value);
  }
}
