/** Lists of completion indexes such as `1,3-5,7`, in which Indexed Jobs tell which are done. */

/** Intervals, both ends included; sorted and apart from each other. */
export type Intervals = readonly (readonly [first: number, last: number])[];

/** The intervals of a text that the server wrote; indexes from `completions` on are left out. */
export function parseIntervals(text: string | undefined, completions: number): Intervals {
  const result: [number, number][] = [];
  for (const part of (text ?? '').split(',')) {
    const [first, last = first] = part.split('-').map(Number);
    if (part === '' || first === undefined || last === undefined || Number.isNaN(first + last)) continue;
    if (first >= completions) break;
    result.push([first, Math.min(last, completions - 1)]);
  }
  return result;
}

/** Checks what a user wrote. Throws Error in upstream's words. */
export function parseIndexesStrictly(text: string, completions: number): Intervals {
  const result: [number, number][] = [];
  let previous = -1;
  if (text === '') return result;
  for (const part of text.split(',')) {
    const limits = part.split('-');
    if (limits.length > 2)
      throw new Error(
        `the fragment ${JSON.stringify(part)} violates the requirement that an index interval can have at most two parts separated by '-'`,
      );
    const [first, last = first] = limits.map((limit) => parseIndex(limit)) as [number, number | undefined];
    if (first >= completions || last! >= completions)
      throw new Error(
        `${part.includes('-') && first < completions ? 'end' : 'too large'} index: ${JSON.stringify(part)}`,
      );
    if (limits.length === 2 && last! <= first)
      throw new Error(`non-increasing order, previous: ${first}, current: ${last}`);
    if (first <= previous) throw new Error(`non-increasing order, previous: ${previous}, current: ${first}`);
    result.push([first, last!]);
    previous = last!;
  }
  return result;
}

function parseIndex(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new Error(`cannot convert string to integer for index: ${JSON.stringify(text)}`);
  return Number(text);
}

/** `1,3-5,7`; two neighbours are written as `3,4`. */
export function formatIntervals(intervals: Intervals): string {
  return intervals
    .map(([first, last]) =>
      first === last ? `${first}` : `${first}${last === first + 1 ? ',' : '-'}${last}`,
    )
    .join(',');
}

export const countIndexes = (intervals: Intervals): number =>
  intervals.reduce((sum, [first, last]) => sum + last - first + 1, 0);

export function hasIndex(intervals: Intervals, index: number): boolean {
  let [low, high] = [0, intervals.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (intervals[middle]![1] < index) low = middle + 1;
    else high = middle;
  }
  return low < intervals.length && intervals[low]![0] <= index;
}

/** The intervals with more indexes in them, in any order. */
export function withIndexes(intervals: Intervals, indexes: readonly number[]): Intervals {
  if (indexes.length === 0) return intervals;
  const all = [...intervals, ...indexes.map((i) => [i, i] as const)].sort((a, b) => a[0] - b[0]);
  const result: [number, number][] = [];
  for (const [first, last] of all) {
    const end = result.at(-1);
    if (end && first <= end[1] + 1) end[1] = Math.max(end[1], last);
    else result.push([first, last]);
  }
  return result;
}

/** How many indexes are in both. */
export function countCommon(a: Intervals, b: Intervals): number {
  let count = 0;
  for (const [first, last] of a)
    for (const [from, to] of b) count += Math.max(0, Math.min(last, to) - Math.max(first, from) + 1);
  return count;
}
