/** Waiting and trying again: abortable sleep, exponential backoff with jitter, retry on conflict. */
import { type Clock, systemClock } from '../api/machinery/clock.js';
import { isReason } from '../api/machinery/status.js';

/** Resolves after `ms`, or as soon as `signal` aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

export interface BackoffOptions {
  /** Milliseconds before the first retry. */
  initial: number;
  max: number;
  /** A delay is multiplied by 1 … 1 + jitter. */
  jitter: number;
  random?: () => number;
}

/** Delays that double from `initial` to `max`, until `reset`. */
export class Backoff {
  #attempts = 0;

  constructor(readonly options: BackoffOptions) {}

  next(): number {
    const { initial, max, jitter, random = Math.random } = this.options;
    const delay = Math.min(initial * 2 ** Math.min(this.#attempts, 50), max);
    this.#attempts++;
    return delay * (1 + jitter * random());
  }

  reset(): void {
    this.#attempts = 0;
  }
}

/** Runs `attempt` again (at most five times in all, 10 ms apart) while it rejects with a Conflict. */
export async function retryOnConflict<R>(attempt: () => Promise<R>, clock: Clock = systemClock): Promise<R> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries >= 5 || !isReason(error, 'Conflict')) throw error;
      await sleep(clock, 10 * (1 + 0.1 * Math.random()));
    }
  }
}
