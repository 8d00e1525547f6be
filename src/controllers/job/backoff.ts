/** How long a Job waits before it replaces pods that failed (upstream `backoff_utils.go`). */
import type { Pod } from '#types';
import { finishedAt } from './pods.js';

const BASE_MS = 10_000;
const MAX_MS = 10 * 60_000;

export interface Backoff {
  /** Since the last success. */
  failures: number;
  /** Milliseconds since the epoch. */
  lastFailure: number;
}

export const NO_BACKOFF: Backoff = { failures: 0, lastFailure: 0 };

/** The backoff after more pods have ended; a success starts it anew. */
export function nextBackoff(backoff: Backoff, succeeded: readonly Pod[], failed: readonly Pod[]): Backoff {
  const failures = failed.map(finishedAt);
  if (succeeded.length === 0) {
    if (failures.length === 0) return backoff;
    return { failures: backoff.failures + failures.length, lastFailure: Math.max(...failures) };
  }
  const success = Math.max(...succeeded.map(finishedAt));
  const later = failures.filter((at) => at > success);
  return later.length === 0 ? NO_BACKOFF : { failures: later.length, lastFailure: Math.max(...later) };
}

/** Milliseconds that are left to wait: 10 s after the first failure, doubled with each, at most 10 minutes. */
export function remainingBackoff({ failures, lastFailure }: Backoff, now: number): number {
  if (failures === 0) return 0;
  const delay = Math.min(BASE_MS * 2 ** Math.min(failures - 1, 30), MAX_MS);
  return Math.max(0, lastFailure + delay - now);
}
