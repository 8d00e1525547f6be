/** Time as a parameter, so that control loops are tested without waiting. */

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds of a clock that nobody sets, from any point on: for how long something takes or waits. */
  elapsed(): number;
  /** Calls `fn` once after `ms`; returns what cancels it. */
  after(ms: number, fn: () => void): () => void;
}

/** Node's timers take at most so many milliseconds; beyond, they fire at once. */
const MAX_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms, fn) {
    let timer: NodeJS.Timeout;
    // A longer wait is made of several.
    const wait = (left: number) => {
      timer = setTimeout(() => (left > MAX_TIMER ? wait(left - MAX_TIMER) : fn()), Math.min(left, MAX_TIMER));
    };
    wait(ms);
    return () => clearTimeout(timer);
  },
};

/** RFC 3339 in whole seconds, as `metav1.Time` is written. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** RFC 3339 with microseconds, as `metav1.MicroTime` is written. */
export function microTimestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000Z`;
}
