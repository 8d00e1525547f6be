/** A queue of keys to reconcile, with the semantics of client-go's `workqueue`. */
import { type Clock, systemClock } from '../api/machinery/clock.js';
import { QueueMeter } from './measures.js';

const BASE_DELAY = 5;
const MAX_DELAY = 1_000_000;

/**
 * A key is in the queue at most once, and is never processed twice at the same time: what is added while
 * it is processed comes again after `done`.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #meter: QueueMeter | undefined;
  #queue: string[] = [];
  #head = 0;
  /** Added and not yet taken. */
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #delayed = new Map<string, { at: number; cancel: () => void }>();
  readonly #waiters: ((key: string | undefined) => void)[] = [];
  #closed = false;

  /** `name`: under which it is measured; absent: it is not. */
  constructor({ clock = systemClock, name }: { clock?: Clock; name?: string } = {}) {
    this.#clock = clock;
    this.#meter = name === undefined ? undefined : new QueueMeter(name);
  }

  /** How many keys wait to be taken. */
  get length(): number {
    return this.#queue.length - this.#head;
  }

  add(key: string): void {
    if (this.#closed || this.#dirty.has(key)) return;
    this.#dirty.add(key);
    this.#meter?.added(key);
    if (!this.#processing.has(key)) this.#push(key);
  }

  /** Adds `key` after `ms`; of several delays the one that ends first counts. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.elapsed() + ms;
    const known = this.#delayed.get(key);
    if (known !== undefined) {
      if (known.at <= at) return;
      known.cancel();
    }
    const cancel = this.#clock.after(ms, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { at, cancel });
  }

  /** Adds `key` after 5 ms, doubled with each call since the last `forget`, at most 1000 s. */
  addRateLimited(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#meter?.retried();
    this.addAfter(key, Math.min(BASE_DELAY * 2 ** Math.min(failures, 30), MAX_DELAY));
  }

  /** The key succeeded: its backoff starts again from the beginning. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** How often the key was rate limited since the last `forget`. */
  requeues(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, once there is one; undefined once the queue is closed and empty. Call `done` after. */
  next(): Promise<string | undefined> {
    const key = this.#shift();
    if (key !== undefined) return Promise.resolve(key);
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  done(key: string): void {
    this.#processing.delete(key);
    this.#meter?.done(key);
    if (this.#dirty.has(key)) this.#push(key);
  }

  /** Takes no more keys; those that wait are still handed out. */
  close(): void {
    this.#closed = true;
    this.#meter?.close();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    for (const waiter of this.#waiters.splice(0)) waiter(undefined);
  }

  #push(key: string): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#queue.push(key);
    else {
      this.#take(key);
      waiter(key);
    }
  }

  #shift(): string | undefined {
    if (this.#head === this.#queue.length) return undefined;
    const key = this.#queue[this.#head++]!;
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.#take(key);
    return key;
  }

  #take(key: string): void {
    this.#dirty.delete(key);
    this.#processing.add(key);
    this.#meter?.taken(key);
  }
}
