/** Problems of an expression, and the text that shows where they are. */

export interface Issue {
  /** Offset in the expression, in UTF-16 units. */
  pos: number;
  message: string;
}

/** All issues as cel-go writes them: one block each, the line with a mark under it. */
export function formatIssues(source: string, issues: readonly Issue[]): string {
  return [...issues]
    .sort((a, b) => a.pos - b.pos)
    .map((issue) => formatIssue(source, issue))
    .join('\n');
}

function formatIssue(source: string, { pos, message }: Issue): string {
  const before = source.slice(0, pos).split('\n');
  const line = before.length;
  const column = [...before.at(-1)!].length;
  const text = (source.split('\n')[line - 1] ?? '').replaceAll('\t', ' ');
  const mark = [...text].slice(0, column).map((char) => (isWide(char) ? '．' : '.'));
  const at = [...text][column];
  const arrow = at !== undefined && isWide(at) ? '＾' : '^';
  return `ERROR: <input>:${line}:${column + 1}: ${message}\n | ${text}\n | ${mark.join('')}${'.'.repeat(column - mark.length)}${arrow}`;
}

const isWide = (char: string): boolean => char.codePointAt(0)! > 0x7f;
