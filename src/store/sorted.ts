/** The newest versions of one resource in the order of their keys. */
import type { Key } from './store.js';
import type { Version } from './version.js';

/** Sorts after every key that starts with the text before it. */
const LAST = '\uffff';

export class SortedVersions {
  #items: Version[];

  /** `items` are in order already. */
  constructor(items: Version[] = []) {
    this.#items = items;
  }

  get length(): number {
    return this.#items.length;
  }

  /** Puts it in the place of an older version, or between its neighbours. */
  set(version: Version): void {
    const items = this.#items;
    const last = items[items.length - 1];
    if (last === undefined || last.key < version.key) {
      items.push(version);
      return;
    }
    const at = this.#lowerBound(version.key);
    if (items[at]!.key === version.key) items[at] = version;
    else items.splice(at, 0, version);
  }

  delete(key: Key): void {
    const at = this.#lowerBound(key);
    if (this.#items[at]?.key === key) this.#items.splice(at, 1);
  }

  /** At most `limit` of those that start with `prefix` and come after `after`, and how many follow them. */
  range(prefix: string, after: Key | undefined, limit: number): { items: Version[]; remaining: number } {
    const end = this.#lowerBound(prefix + LAST);
    let start = this.#lowerBound(prefix);
    if (after !== undefined && after >= prefix) {
      start = this.#lowerBound(after);
      if (this.#items[start]?.key === after) start++;
    }
    if (start >= end) return { items: [], remaining: 0 };
    const items = this.#items.slice(start, Math.min(end, start + limit));
    return { items, remaining: end - start - items.length };
  }

  #lowerBound(key: string): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#items[middle]!.key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
