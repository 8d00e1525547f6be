/** Results as a table, or as JSON. */

export interface Result {
  name: string;
  value: number;
  unit: string;
  /** What the value should stay below (or, for rates, has no target). */
  target?: number;
  /** What the limit of this machine is, in the same unit, measured in the same run. */
  limit?: { value: number; of: string };
}

const round = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

export function table(results: Result[]): string {
  const rows = results.map(({ name, value, unit, target, limit }) => [
    name,
    `${round(value)} ${unit}`,
    target === undefined ? '' : `${value < target ? 'ok' : 'MISSED'} (< ${target})`,
    limit === undefined ? '' : `${round(limit.value)} ${unit}: ${limit.of}`,
  ]);
  rows.unshift(['measure', 'value', 'target', 'beside it']);
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** The q-quantile (0 … 1) of some numbers. */
export function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}
