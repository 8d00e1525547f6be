/** CPU in use, from two looks at counters: nothing is measured while nobody asks. */
import { setTimeout as sleep } from 'node:timers/promises';

interface Counter {
  /** ms. */
  time: number;
  nanos: number;
}

/** Looks closer together say little. */
const MIN_MS = 1000;
/** Looks this far apart say nothing of now. */
const MAX_MS = 60_000;

/** What was read last, by the id of the container, pod or node. */
export class Rates {
  #last = new Map<string, Counter>();
  #rates = new Map<string, number>();
  #at = 0;

  /** Reads the counters, twice if it is long ago that somebody has: nano cores by id. */
  async of(read: () => Promise<Map<string, Counter>>): Promise<Map<string, number>> {
    const age = Date.now() - this.#at;
    if (age < MIN_MS) return this.#rates;
    if (age > MAX_MS) {
      this.#take(await read());
      await sleep(MIN_MS);
    }
    this.#take(await read());
    return this.#rates;
  }

  #take(now: Map<string, Counter>): void {
    const rates = new Map<string, number>();
    for (const [id, { time, nanos }] of now) {
      const before = this.#last.get(id);
      if (before && time > before.time && nanos >= before.nanos)
        rates.set(id, Math.round(((nanos - before.nanos) * 1000) / (time - before.time)));
    }
    this.#last = now;
    this.#rates = rates;
    this.#at = Date.now();
  }
}
