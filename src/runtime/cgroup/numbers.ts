/** Arithmetic of cgroup limits and statistics. */

/** Microseconds; what `Limits.cpuQuota` is of. */
export const CPU_PERIOD = 100_000;

/**
 * cpu.shares (2 … 262144, 1024 by default) as a cpu.weight (1 … 10000, 100 by default): the curve through those
 * three points that runc and crun use.
 */
export function cpuWeight(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const l = Math.log2(shares);
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34));
}

/** What a file of `key number` lines has, 0 for a key that it does not have. */
export function flatKeys(text: string): (key: string) => number {
  const values = new Map(text.split('\n').map((line) => line.split(' ') as [string, string]));
  return (key) => Number(values.get(key) ?? 0);
}
