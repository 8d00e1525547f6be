/** `--chmod` of COPY and ADD: octal, or in symbols as chmod(1) takes them. */

/** What becomes of a mode. */
export type ModeChange = (mode: number, isFolder: boolean) => number;

const SETS: Record<string, number> = { u: 0o4700, g: 0o2070, o: 0o1007 };
const BITS: Record<string, number> = { r: 0o444, w: 0o222, x: 0o111 };

/** @throws Error for what is neither. */
export function modeChange(text: string): ModeChange {
  if (/^[0-7]{3,4}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(',').map((clause) => {
    const match = /^([ugoa]*)((?:[-+=][rwxXst]*)+)$/.exec(clause);
    if (!match) throw new Error(`invalid chmod parameter: ${text}`);
    const who = /^$|a/.test(match[1]!) ? 'ugo' : match[1]!;
    return { who, actions: [...match[2]!.matchAll(/([-+=])([rwxXst]*)/g)] };
  });
  return (mode, isFolder) => {
    let now = mode;
    for (const { who, actions } of clauses) {
      const mask = [...who].reduce((bits, one) => bits | SETS[one]!, 0);
      for (const [, operator, letters = ''] of actions) {
        const bits = bitsOf(letters, now, isFolder) & mask;
        if (operator === '=') now = (now & ~(mask & 0o777)) | bits;
        else now = operator === '+' ? now | bits : now & ~bits;
      }
    }
    return now;
  };
}

function bitsOf(letters: string, mode: number, isFolder: boolean): number {
  let bits = 0;
  for (const letter of letters) {
    bits |= BITS[letter] ?? 0;
    if (letter === 's') bits |= 0o6000;
    if (letter === 't') bits |= 0o1000;
    // Only where it can be executed by somebody already.
    if (letter === 'X' && (isFolder || mode & 0o111)) bits |= BITS.x!;
  }
  return bits;
}
