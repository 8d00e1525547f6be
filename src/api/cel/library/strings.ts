/** cel-go's string extensions. Positions count characters (code points). */
import { func, method, type Overload } from '../declare.js';
import { CelError } from '../errors.js';
import { ListValue } from '../values.js';
import { elements, once, resultTwice, twice } from './costs.js';
import { formatString } from './format-string.js';

function charAt(text: string, index: bigint): string {
  const chars = [...text];
  if (index < 0n || index > BigInt(chars.length)) throw new CelError(`index out of range: ${index}`);
  return chars[Number(index)] ?? '';
}

function indexOf(text: string, part: string, offset = 0n): bigint {
  if (part === '') return offset;
  const chars = [...text];
  if (offset < 0n || offset > BigInt(chars.length)) throw new CelError(`index out of range: ${offset}`);
  const skipped = chars.slice(0, Number(offset)).join('').length;
  const found = text.indexOf(part, skipped);
  return found < 0 ? -1n : BigInt([...text.slice(0, found)].length);
}

function lastIndexOf(text: string, part: string, offset?: bigint): bigint {
  const chars = [...text];
  if (offset !== undefined && (offset < 0n || offset > BigInt(chars.length)))
    throw new CelError(`index out of range: ${offset}`);
  if (part === '') return offset ?? BigInt(chars.length);
  const from = offset === undefined ? text.length : chars.slice(0, Number(offset)).join('').length;
  const found = text.lastIndexOf(part, from);
  return found < 0 ? -1n : BigInt([...text.slice(0, found)].length);
}

function substring(text: string, start: bigint, end?: bigint): string {
  const chars = [...text];
  const length = BigInt(chars.length);
  if (end !== undefined && start > end)
    throw new CelError(`invalid substring range. start: ${start}, end: ${end}`);
  if (start < 0n || start > length) throw new CelError(`index out of range: ${start}`);
  if (end !== undefined && (end < 0n || end > length)) throw new CelError(`index out of range: ${end}`);
  return chars.slice(Number(start), end === undefined ? undefined : Number(end)).join('');
}

function replace(text: string, from: string, to: string, count = -1n): string {
  if (from === '') return surround(text, to, Number(count));
  if (count < 0n) return text.split(from).join(to);
  const parts = text.split(from);
  const replaced = Math.min(Number(count), parts.length - 1);
  return (
    parts.slice(0, replaced + 1).join(to) +
    parts
      .slice(replaced + 1)
      .map((part) => from + part)
      .join('')
  );
}

/** An empty text is found before every character, and at the end. */
function surround(text: string, to: string, count: number): string {
  const chars = [...text];
  let left = count < 0 ? chars.length + 1 : count;
  const put = () => (left-- > 0 ? to : '');
  return chars.map((char) => put() + char).join('') + put();
}

function split(text: string, separator: string, limit = -1n): ListValue {
  const parts = separator === '' ? [...text] : text.split(separator);
  if (limit < 0n || BigInt(parts.length) <= limit) return new ListValue(parts);
  if (limit === 0n) return new ListValue([]);
  const kept = parts.slice(0, Number(limit) - 1);
  return new ListValue([...kept, parts.slice(Number(limit) - 1).join(separator)]);
}

function join(list: ListValue, separator = ''): string {
  return [...list]
    .map((item) => {
      if (typeof item !== 'string') throw new CelError('no such overload');
      return item;
    })
    .join(separator);
}

const ascii = (text: string, from: RegExp, shift: number): string =>
  text.replace(from, (char) => String.fromCharCode(char.charCodeAt(0) + shift));

const QUOTED: Record<string, string> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};
const quote = (text: string): string => `"${Array.from(text, (char) => QUOTED[char] ?? char).join('')}"`;

const trim = (text: string): string => text.replace(/^[\s\x85]+|[\s\x85]+$/gu, '');

export const strings: Overload[] = [
  method('string', 'charAt(int): string', charAt),
  method('string', 'indexOf(string): int', indexOf, elements),
  method('string', 'indexOf(string, int): int', indexOf, elements),
  method('string', 'lastIndexOf(string): int', lastIndexOf, elements),
  method('string', 'lastIndexOf(string, int): int', lastIndexOf, elements),
  method('string', 'lowerAscii(): string', (text: string) => ascii(text, /[A-Z]/g, 32), once),
  method('string', 'upperAscii(): string', (text: string) => ascii(text, /[a-z]/g, -32), once),
  method('string', 'replace(string, string): string', replace, twice),
  method('string', 'replace(string, string, int): string', replace, twice),
  method('string', 'split(string): list<string>', split, twice),
  method('string', 'split(string, int): list<string>', split, twice),
  method('string', 'substring(int): string', substring, once),
  method('string', 'substring(int, int): string', substring, once),
  method('string', 'trim(): string', trim, once),
  method('string', 'format(list<dyn>): string', formatString),
  method('list<string>', 'join(): string', join, resultTwice),
  method('list<string>', 'join(string): string', join, resultTwice),
  func('strings.quote(string): string', quote),
];
