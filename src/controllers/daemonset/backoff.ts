/** Keeps a set from replacing, over and over, pods that fail at once on some node. */
import type { Clock } from '../../api/machinery/clock.js';

const INITIAL_MS = 1000;
const MAX_MS = 15 * 60_000;

export class FailedPodBackoff {
  readonly #clock: Clock;
  readonly #entries = new Map<string, { delay: number; since: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** 0 when a failed pod may be replaced now, which counts; else in how many ms. */
  next(key: string): number {
    const now = this.#clock.elapsed();
    const entry = this.#entries.get(key);
    if (entry !== undefined && now < entry.since + entry.delay) return entry.since + entry.delay - now;
    this.#collect(now);
    const isOld = entry === undefined || now > entry.since + 2 * MAX_MS;
    this.#entries.set(key, {
      delay: isOld ? INITIAL_MS : Math.min(MAX_MS, entry.delay * 2),
      since: now,
    });
    return 0;
  }

  /** Forgets what has not failed for long. */
  #collect(now: number): void {
    for (const [key, { since }] of this.#entries) if (now > since + 2 * MAX_MS) this.#entries.delete(key);
  }
}
