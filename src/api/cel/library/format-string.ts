/** `'%s is %d'.format([…])`. */
import { CelError } from '../errors.js';
import { durationText, timestampText } from '../time.js';
import { formatType } from '../types.js';
import {
  Duration,
  ListValue,
  MapValue,
  Timestamp,
  TypeValue,
  typeOfValue,
  Uint,
  type Value,
} from '../values.js';
import { doubleText } from './standard.js';

/** Throws CelError for a clause that is unknown, has no argument, or can't show it. */
export function formatString(text: string, args: ListValue): string {
  let next = 0;
  return text.replace(/%(?:%|(?:\.(\d+))?(.?))/gs, (clause, precision, verb) => {
    if (clause === '%%') return '%';
    if (next >= args.size) throw new CelError(`index ${next} out of range`);
    return formatClause(verb, precision === undefined ? 6 : Number(precision), args.at(next++));
  });
}

function formatClause(verb: string, precision: number, value: Value): string {
  switch (verb) {
    case 's':
      return text(value);
    case 'd':
      return isInteger(value) ? text(value) : bad('decimal', 'integers', value);
    case 'f':
      return typeof value === 'number' || isInteger(value)
        ? Number(plain(value)).toFixed(precision)
        : bad('fixed-point', 'doubles', value);
    case 'e':
      return typeof value === 'number' || isInteger(value)
        ? Number(plain(value))
            .toExponential(precision)
            .replace(/e([+-])(\d)$/, 'e$10$2')
        : bad('scientific', 'doubles', value);
    case 'b':
      if (typeof value === 'boolean') return value ? '1' : '0';
      return isInteger(value) ? plain(value).toString(2) : bad('binary', 'integers and bools', value);
    case 'o':
      return isInteger(value) ? plain(value).toString(8) : bad('octal', 'integers', value);
    case 'x':
    case 'X': {
      const hex = hexText(value) ?? bad('hex', 'integers, byte buffers, and strings', value);
      return verb === 'X' ? hex.toUpperCase() : hex;
    }
    default:
      throw new CelError(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
  }
}

const isInteger = (value: Value): value is bigint | Uint =>
  typeof value === 'bigint' || value instanceof Uint;
const plain = (value: bigint | number | Uint): bigint | number =>
  value instanceof Uint ? value.value : value;

function hexText(value: Value): string | undefined {
  if (isInteger(value)) return plain(value).toString(16);
  if (typeof value === 'string' || value instanceof Uint8Array)
    return Buffer.from(value as string).toString('hex');
  return undefined;
}

function bad(name: string, wanted: string, value: Value): never {
  const given = formatType(typeOfValue(value));
  throw new CelError(
    `error during formatting: ${name} clause can only be used on ${wanted}, was given ${given}`,
  );
}

function text(value: Value): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return doubleText(value);
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Timestamp) return timestampText(value);
  if (value instanceof Duration) return durationText(value);
  if (value instanceof TypeValue) return formatType(value.type);
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (value instanceof ListValue) return `[${Array.from(value, text).join(', ')}]`;
  if (value instanceof MapValue) return mapText(value);
  throw new CelError(
    'error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
  );
}

function mapText(map: MapValue): string {
  const entries = [...map.keys()].map((key) => [text(key), text(map.find(key)!)] as const);
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ')}}`;
}
