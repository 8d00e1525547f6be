/** Equality and order of values; numbers compare across their types. */
import { noSuchOverload } from './errors.js';
import { sameType } from './unify.js';
import {
  Duration,
  ListValue,
  MapValue,
  Opaque,
  Optional,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from './values.js';

export function equal(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b) === 0;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  if (a instanceof ListValue) return b instanceof ListValue && equalLists(a, b);
  if (a instanceof MapValue) return b instanceof MapValue && equalMaps(a, b);
  if (a instanceof Timestamp || a instanceof Duration)
    return a.constructor === b.constructor && a.nanos === (b as Timestamp).nanos;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof Optional) return b instanceof Optional && equalOptionals(a, b);
  if (a instanceof TypeValue) return b instanceof TypeValue && equalTypes(a, b);
  return a instanceof Opaque && b instanceof Opaque && a.equals(b);
}

const equalTypes = ({ type: a }: TypeValue, { type: b }: TypeValue): boolean =>
  a.kind === b.kind && (a.kind !== 'object' || sameType(a, b));

function equalOptionals({ value: a }: Optional, { value: b }: Optional): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equal(a, b);
}

function equalLists(a: ListValue, b: ListValue): boolean {
  if (a.size !== b.size) return false;
  const declared = a.type?.listType ? a.type : b.type;
  if (declared?.listType === 'set') return [...a].every((item) => contains(b, item));
  if (declared?.listType === 'map') return equalKeyed(a, b, declared.listKeys ?? []);
  for (let i = 0; i < a.size; i++) if (!equal(a.at(i), b.at(i))) return false;
  return true;
}

/** The lists as maps by their keys: order does not count. */
function equalKeyed(a: ListValue, b: ListValue, keys: readonly string[]): boolean {
  const others = new Map([...b].map((item) => [listKey(item, keys), item]));
  for (const item of a) {
    const other = others.get(listKey(item, keys));
    if (other === undefined || !equal(item, other)) return false;
  }
  return true;
}

/** The key of an element of a map list. */
export const listKey = (item: Value, keys: readonly string[]): string =>
  JSON.stringify(keys.map((key) => (item instanceof MapValue ? String(item.find(key)) : '')));

export function contains(list: ListValue, item: Value): boolean {
  for (const other of list) if (equal(item, other)) return true;
  return false;
}

function equalMaps(a: MapValue, b: MapValue): boolean {
  if (a.size !== b.size) return false;
  for (const key of a.keys()) {
    const other = b.find(key);
    if (other === undefined || !equal(a.find(key)!, other)) return false;
  }
  return true;
}

export const isNumber = (value: Value): value is bigint | number | Uint =>
  typeof value === 'bigint' || typeof value === 'number' || value instanceof Uint;

/** JavaScript compares bigints and numbers exactly; NaN is neither, which gives undefined. */
function compareNumbers(left: bigint | number | Uint, right: bigint | number | Uint): number | undefined {
  const a = left instanceof Uint ? left.value : left;
  const b = right instanceof Uint ? right.value : right;
  if (a < b) return -1;
  if (a > b) return 1;
  return Number.isNaN(a) || Number.isNaN(b) ? undefined : 0;
}

/** -1, 0 or 1; undefined beside NaN. Throws where the values have no order. */
export function compare(a: Value, b: Value): number | undefined {
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  if (typeof a === 'string' && typeof b === 'string')
    return Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if ((a instanceof Timestamp && b instanceof Timestamp) || (a instanceof Duration && b instanceof Duration))
    return compareNumbers(a.nanos, b.nanos);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Math.sign(Buffer.compare(a, b));
  throw noSuchOverload();
}
