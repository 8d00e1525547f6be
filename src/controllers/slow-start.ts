/** Slow start: many calls in batches that double, so that a failing API server is asked little. */

/**
 * Calls `fn` `count` times, 1, 2, 4 … at a time, and stops after the batch in which a call failed.
 * Resolves with the number of successes and the first error (upstream `slowStartBatch`).
 */
export async function slowStart(
  count: number,
  fn: () => Promise<void>,
): Promise<{ successes: number; error?: unknown }> {
  let successes = 0;
  let remaining = count;
  for (let size = 1; remaining > 0; size *= 2) {
    const batch = Math.min(size, remaining);
    const results = await Promise.allSettled(Array.from({ length: batch }, fn));
    const failed = results.find((result) => result.status === 'rejected');
    successes += results.filter((result) => result.status === 'fulfilled').length;
    if (failed !== undefined) return { successes, error: failed.reason };
    remaining -= batch;
  }
  return { successes };
}
