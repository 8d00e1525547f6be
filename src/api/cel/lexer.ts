/** Splits an expression into tokens. */
import type { Issue } from './source.js';
import { Uint } from './values.js';

export interface Token {
  type: 'ident' | 'quoted' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'op' | 'end';
  text: string;
  pos: number;
  value?: bigint | number | string | Uint8Array | Uint;
}

const OPERATORS = ['==', '!=', '<=', '>=', '&&', '||', ...'<>+-*/%!?:.,()[]{}'];
const INT_MAX = 2n ** 63n;
const UINT_MAX = 2n ** 64n;

/** Reads all tokens; what can't be one becomes an issue and is left out. */
export function tokenize(source: string, issues: Issue[]): Token[] {
  const tokens: Token[] = [];
  let pos = 0;
  while (pos < source.length) {
    const rest = source.slice(pos);
    const skip = /^(?:[\s\f]+|\/\/[^\n]*)/.exec(rest);
    if (skip) {
      pos += skip[0].length;
      continue;
    }
    const token = readToken(rest, pos, issues);
    if (token) tokens.push(token);
    pos += token ? token.text.length : badLength(rest, pos, issues);
  }
  tokens.push({ type: 'end', text: '<EOF>', pos: source.length });
  return tokens;
}

/** A character that starts nothing; the next one is shown with it, as the reference parser does. */
function badLength(rest: string, pos: number, issues: Issue[]): number {
  if (/^["']/.test(rest)) {
    issues.push({ pos, message: `Syntax error: token recognition error at: '${rest.split('\n')[0]}'` });
    return rest.length;
  }
  const shown = /^[=&|]/.test(rest) ? rest.slice(0, 2) : rest[0]!;
  issues.push({ pos, message: `Syntax error: token recognition error at: '${shown}'` });
  return 1;
}

function readToken(rest: string, pos: number, issues: Issue[]): Token | undefined {
  const string = /^([rR]?[bB]?|[bB][rR])("""|'''|"|')/.exec(rest);
  if (string) return readString(rest, pos, string[1]!.toLowerCase(), string[2]!, issues);
  const ident = /^[_a-zA-Z][_a-zA-Z0-9]*/.exec(rest);
  if (ident) return { type: 'ident', text: ident[0], pos };
  const quoted = /^`([a-zA-Z0-9_.\-/ ]+)`/.exec(rest);
  if (quoted) return { type: 'quoted', text: quoted[0], pos, value: quoted[1]! };
  const double = /^(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)/.exec(rest);
  if (double) return { type: 'double', text: double[0], pos, value: Number(double[0]) };
  const integer = /^(0[xX][0-9a-fA-F]+|\d+)([uU]?)/.exec(rest);
  if (integer) return readInteger(integer, pos, issues);
  const op = OPERATORS.find((operator) => rest.startsWith(operator));
  return op === undefined ? undefined : { type: 'op', text: op, pos };
}

function readInteger([text, digits, suffix]: RegExpExecArray, pos: number, issues: Issue[]): Token {
  const value = BigInt(digits!);
  if (suffix) {
    if (value >= UINT_MAX) issues.push({ pos, message: 'invalid uint literal' });
    return { type: 'uint', text, pos, value: new Uint(value) };
  }
  // The smallest int is written with a minus before what is one too large.
  if (value > INT_MAX) issues.push({ pos, message: 'invalid int literal' });
  return { type: 'int', text, pos, value };
}

function readString(
  rest: string,
  pos: number,
  prefix: string,
  quote: string,
  issues: Issue[],
): Token | undefined {
  const start = prefix.length + quote.length;
  const raw = prefix.includes('r');
  let end = start;
  while (!rest.startsWith(quote, end)) {
    if (end >= rest.length || (quote.length === 1 && /[\r\n]/.test(rest[end]!))) return undefined;
    end += rest[end] === '\\' && !raw ? 2 : 1;
  }
  const text = rest.slice(0, end + quote.length);
  const body = rest.slice(start, end);
  const bytes = prefix.includes('b');
  try {
    if (bytes) return { type: 'bytes', text, pos, value: raw ? Buffer.from(body) : unescapeBytes(body) };
    return { type: 'string', text, pos, value: raw ? body : unescapeString(body) };
  } catch (error) {
    issues.push({ pos, message: (error as Error).message });
    return { type: bytes ? 'bytes' : 'string', text, pos, value: '' };
  }
}

const ESCAPES: Record<string, string> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '`': '`',
  '?': '?',
};
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|[xX]([0-9a-fA-F]{2})|([0-3][0-7]{2})|([\s\S]?))/g;

function unescapeString(text: string): string {
  return text.replace(ESCAPE, (_, short, long, hex, octal, char) => {
    const code = short ?? long ?? hex;
    const number = code !== undefined ? Number.parseInt(code, 16) : octal && Number.parseInt(octal, 8);
    if (number === undefined) return simpleEscape(char);
    if (number > 0x10ffff || (number >= 0xd800 && number <= 0xdfff))
      throw new Error('invalid unicode code point');
    return String.fromCodePoint(number);
  });
}

function unescapeBytes(text: string): Uint8Array {
  const parts: Buffer[] = [];
  let last = 0;
  for (const match of text.matchAll(ESCAPE)) {
    const [whole, short, long, hex, octal, char] = match;
    if (short ?? long) throw new Error('unable to unescape string');
    parts.push(Buffer.from(text.slice(last, match.index)));
    const code = hex !== undefined ? Number.parseInt(hex, 16) : octal && Number.parseInt(octal, 8);
    parts.push(code !== undefined ? Buffer.from([code as number]) : Buffer.from(simpleEscape(char!)));
    last = match.index + whole.length;
  }
  parts.push(Buffer.from(text.slice(last)));
  return new Uint8Array(Buffer.concat(parts));
}

function simpleEscape(char: string): string {
  const value = ESCAPES[char];
  if (value === undefined) throw new Error('unable to unescape string');
  return value;
}
