/** Restart and pull back-off as client-go's `flowcontrol.Backoff` does it: doubling, forgotten after a quiet time. */

interface Entry {
  delay: number;
  updated: number;
}

export class KeyedBackoff {
  readonly #entries = new Map<string, Entry>();

  constructor(
    readonly initial = 10_000,
    readonly max = 300_000,
  ) {}

  /** When what happened at `event` may be tried again: `event` itself if it is the first of its kind. */
  notBefore(key: string, event: number): number {
    const entry = this.#entries.get(key);
    return entry && !this.#isOld(entry, event) ? event + entry.delay : event;
  }

  /** The delay that now counts; 0 if there is none. */
  delay(key: string): number {
    return this.#entries.get(key)?.delay ?? 0;
  }

  /** It is being tried again: the next time waits longer. */
  next(key: string, event: number, now: number): void {
    const entry = this.#entries.get(key);
    const delay = !entry || this.#isOld(entry, event) ? this.initial : Math.min(entry.delay * 2, this.max);
    this.#entries.set(key, { delay, updated: now });
  }

  /** What a successor goes on from. */
  save(key: string): string {
    const entry = this.#entries.get(key);
    return entry ? `${entry.delay} ${entry.updated}` : '';
  }

  /** Takes what `save` gave; anything else means that there was none. */
  restore(key: string, saved: string): void {
    const [delay, updated] = saved.split(' ').map(Number);
    if (delay && updated) this.#entries.set(key, { delay: Math.min(delay, this.max), updated });
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }

  #isOld(entry: Entry, event: number): boolean {
    return event - entry.updated > 2 * this.max;
  }
}

/** `10s`, `1m20s`, `5m0s`, as Go prints a duration in whole seconds. */
export const goDuration = (ms: number): string => goMilliseconds(Math.round(ms / 1000) * 1000);

/** `48ms`, `1.592s`, `1m2.5s`, as Go prints a duration that is cut to milliseconds. */
export function goMilliseconds(ms: number): string {
  const whole = Math.floor(ms);
  if (whole < 1000) return whole === 0 ? '0s' : `${whole}ms`;
  const minutes = Math.floor(whole / 60_000);
  const seconds = `${(whole % 60_000) / 1000}s`;
  if (minutes === 0) return seconds;
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}
