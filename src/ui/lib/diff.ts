/** What changed between two texts, line by line. */

export interface Line {
  type: 'same' | 'added' | 'removed' | 'gap';
  text: string;
}

/** Longest texts, in lines that differ, that are compared closely: the table has the square of it. */
const MAX_LINES = 2000;

/** The changed lines with `context` lines around them; a `gap` stands for what is left out. Empty when nothing differs. */
export function diff(before: string, after: string, context = 3): Line[] {
  const lines = compare(before.split('\n'), after.split('\n'));
  const near = lines.map(() => false);
  for (const [i, { type }] of lines.entries())
    if (type !== 'same')
      for (let j = Math.max(0, i - context); j <= Math.min(lines.length - 1, i + context); j++)
        near[j] = true;
  const shown: Line[] = [];
  for (const [i, line] of lines.entries())
    if (near[i]) shown.push(line);
    else if (shown.length > 0 && near[i - 1]) shown.push({ type: 'gap', text: '' });
  if (shown.at(-1)?.type === 'gap') shown.pop();
  return shown;
}

function compare(a: string[], b: string[]): Line[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const same = (text: string): Line => ({ type: 'same', text });
  return [
    ...a.slice(0, start).map(same),
    ...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...a.slice(a.length - end).map(same),
  ];
}

/** By the longest common subsequence. */
function middle(a: string[], b: string[]): Line[] {
  const removed = (text: string): Line => ({ type: 'removed', text });
  const added = (text: string): Line => ({ type: 'added', text });
  if (a.length > MAX_LINES || b.length > MAX_LINES) return [...a.map(removed), ...b.map(added)];
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i * width + j] =
        a[i] === b[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ type: 'same', text: a[i++]! });
      j++;
    } else if (j >= b.length || (i < a.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!))
      lines.push(removed(a[i++]!));
    else lines.push(added(b[j++]!));
  }
  return lines;
}
