/** Expectations: what a controller has done and its informer has not shown yet (upstream `ControllerExpectations`). */
import type { Clock } from '../api/machinery/clock.js';

/** After this a lost event no longer holds a controller back. */
const TIMEOUT_MS = 5 * 60_000;

interface Expected {
  creations: number;
  deletions: Set<string>;
  since: number;
}

/**
 * Keeps a controller from acting twice on a cache that lags behind: between a create and the event that
 * shows it, `satisfied` is false.
 */
export class Expectations {
  readonly #keys = new Map<string, Expected>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  expectCreations(key: string, count: number): void {
    this.#keys.set(key, { creations: count, deletions: new Set(), since: this.#clock.elapsed() });
  }

  /** `uids` are of objects that are about to be deleted. */
  expectDeletions(key: string, uids: string[]): void {
    this.#keys.set(key, { creations: 0, deletions: new Set(uids), since: this.#clock.elapsed() });
  }

  /** Both at once. */
  expect(key: string, creations: number, uids: string[]): void {
    this.#keys.set(key, { creations, deletions: new Set(uids), since: this.#clock.elapsed() });
  }

  /** Seen, or failed: it will not come. */
  creationObserved(key: string): void {
    const expected = this.#keys.get(key);
    if (expected !== undefined) expected.creations--;
  }

  deletionObserved(key: string, uid: string): void {
    this.#keys.get(key)?.deletions.delete(uid);
  }

  satisfied(key: string): boolean {
    const expected = this.#keys.get(key);
    if (expected === undefined) return true;
    if (expected.creations <= 0 && expected.deletions.size === 0) return true;
    return this.#clock.elapsed() - expected.since > TIMEOUT_MS;
  }

  forget(key: string): void {
    this.#keys.delete(key);
  }
}
