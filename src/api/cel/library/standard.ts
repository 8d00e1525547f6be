/** The functions of CEL's standard definitions: sizes, conversions, strings, times; and optionals. */
import { func, method, type Overload } from '../declare.js';
import { CelError } from '../errors.js';
import { durationText, parseDuration, parseTimestamp, timestampText } from '../time.js';
import {
  Duration,
  type Entries,
  ListValue,
  MapValue,
  Optional,
  sizeOf,
  Timestamp,
  TypeValue,
  typeOfValue,
  Uint,
  type Value,
} from '../values.js';
import { argument, once, product, regex } from './costs.js';
import { int, uint } from './operators.js';
import { compilePattern } from './patterns.js';

const size = (value: Value): bigint => BigInt(sizeOf(value));
const SIZED = ['string', 'bytes', 'list<T>', 'map<K, V>'];

const sizes = SIZED.flatMap((type) => [func(`size(${type}): int`, size), method(type, 'size(): int', size)]);

function doubleToInt(value: number): bigint {
  if (!Number.isFinite(value) || value >= 2 ** 63 || value <= -(2 ** 63))
    throw new CelError('integer overflow');
  return BigInt(Math.trunc(value));
}

function doubleToUint(value: number): Uint {
  if (!Number.isFinite(value) || value < 0 || value >= 2 ** 64)
    throw new CelError('unsigned integer overflow');
  return new Uint(BigInt(Math.trunc(value)));
}

function stringToInt(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw new CelError(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  return int(BigInt(text.replace(/^\+/, '')));
}

function stringToUint(text: string): Uint {
  if (!/^\d+$/.test(text)) throw new CelError(`strconv.ParseUint: parsing "${text}": invalid syntax`);
  return uint(BigInt(text));
}

function stringToDouble(text: string): number {
  const value = /^\s|\s$|^$/.test(text) ? Number.NaN : Number(text);
  if (Number.isNaN(value) && text !== 'NaN')
    throw new CelError(`strconv.ParseFloat: parsing "${text}": invalid syntax`);
  return value;
}

function stringToBool(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  throw new CelError(`strconv.ParseBool: parsing "${text}": invalid syntax`);
}

/** As Go's `strconv.FormatFloat(value, 'g', -1, 64)`. */
export function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  if (exponent >= -4 && exponent < 21) return Object.is(value, -0) ? '-0' : String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}

function bytesToString(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CelError('invalid UTF-8 in bytes, cannot convert to string');
  }
}

const conversions: Overload[] = [
  func('dyn(T): dyn', (value: Value) => value),
  func('type(T): type<T>', (value: Value) => new TypeValue(typeOfValue(value))),
  func('bool(bool): bool', (value: boolean) => value),
  func('bool(string): bool', stringToBool),
  func('bytes(bytes): bytes', (value: Uint8Array) => value),
  func('bytes(string): bytes', (text: string) => new Uint8Array(Buffer.from(text)), once),
  func('double(double): double', (value: number) => value),
  func('double(int): double', (value: bigint) => Number(value)),
  func('double(uint): double', ({ value }: Uint) => Number(value)),
  func('double(string): double', stringToDouble),
  func('duration(duration): duration', (value: Duration) => value),
  func('duration(int): duration', (nanos: bigint) => new Duration(nanos)),
  func('duration(string): duration', parseDuration),
  func('int(int): int', (value: bigint) => value),
  func('int(double): int', doubleToInt),
  func('int(uint): int', ({ value }: Uint) => int(value)),
  func('int(string): int', stringToInt),
  func('int(timestamp): int', ({ nanos }: Timestamp) => nanos / 1_000_000_000n),
  func('int(duration): int', ({ nanos }: Duration) => nanos),
  func('string(string): string', (value: string) => value),
  func('string(bool): string', String),
  func('string(bytes): string', bytesToString, once),
  func('string(double): string', doubleText),
  func('string(int): string', String),
  func('string(uint): string', ({ value }: Uint) => String(value)),
  func('string(timestamp): string', timestampText),
  func('string(duration): string', durationText),
  func('timestamp(timestamp): timestamp', (value: Timestamp) => value),
  func('timestamp(int): timestamp', (seconds: bigint) => new Timestamp(seconds * 1_000_000_000n)),
  func('timestamp(string): timestamp', parseTimestamp),
  func('uint(uint): uint', (value: Uint) => value),
  func('uint(int): uint', uint),
  func('uint(double): uint', doubleToUint),
  func('uint(string): uint', stringToUint),
];

const matches = (text: string, pattern: string): boolean => compilePattern(pattern).test(text);

const strings: Overload[] = [
  method('string', 'contains(string): bool', (a: string, b: string) => a.includes(b), product),
  method('string', 'startsWith(string): bool', (a: string, b: string) => a.startsWith(b), argument),
  method('string', 'endsWith(string): bool', (a: string, b: string) => a.endsWith(b), argument),
  method('string', 'matches(string): bool', matches, regex),
  func('matches(string, string): bool', matches, regex),
];

const optionals: Overload[] = [
  func('optional.of(T): optional<T>', (value: Value) => new Optional(value)),
  func('optional.none(): optional<T>', () => Optional.none),
  func('optional.ofNonZeroValue(T): optional<T>', (value: Value) =>
    isZero(value) ? Optional.none : new Optional(value),
  ),
  method('optional<T>', 'hasValue(): bool', ({ value }: Optional) => value !== undefined),
  method('optional<T>', 'value(): T', ({ value }: Optional) => {
    if (value === undefined) throw new CelError('optional.none() dereference');
    return value;
  }),
  method('optional<T>', 'or(optional<T>): optional<T>', (a: Optional, b: Optional) =>
    a.value === undefined ? b : a,
  ),
  method('optional<T>', 'orValue(T): T', (a: Optional, b: Value) => a.value ?? (a.value === null ? null : b)),
];

function isZero(value: Value): boolean {
  if (value === null || value === false || value === 0 || value === 0n || value === '') return true;
  if (value instanceof Uint) return value.value === 0n;
  if (value instanceof Duration) return value.nanos === 0n;
  if (value instanceof ListValue || value instanceof MapValue || value instanceof Uint8Array)
    return sizeOf(value) === 0;
  return false;
}

/** What the macros that make maps put in. */
const insertions: Overload[] = [
  func('cel.@mapInsert(map<K, V>, K, V): map<K, V>', (map: Entries, key: Value, value: Value) => {
    map.insert(key, value);
    return map;
  }),
  func('cel.@mapInsert(map<K, V>, map<K, V>): map<K, V>', (map: Entries, added: MapValue) => {
    for (const key of added.keys()) map.insert(key, added.find(key)!);
    return map;
  }),
];

export const standard: Overload[] = [...sizes, ...conversions, ...strings, ...optionals, ...insertions];
