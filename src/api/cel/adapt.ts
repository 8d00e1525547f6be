/** Between JSON and CEL's values. */
import { CelError } from './errors.js';
import { durationText, parseDuration, parseTimestamp, timestampText } from './time.js';
import { DYN, type Type } from './types.js';
import {
  Duration,
  JsonMap,
  ListValue,
  MapValue,
  ObjectValue,
  Opaque,
  Optional,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from './values.js';

/** JSON (or a value already) as a value of `type`. Throws CelError where it can't be one. */
export function adapt(item: unknown, type: Type): Value {
  if (item === null || item === undefined) return null;
  if (typeof item === 'object' && isValue(item)) return item as Value;
  switch (type.kind) {
    case 'int':
      if (typeof item === 'number' && Number.isInteger(item)) return BigInt(item);
      break;
    case 'uint':
      if (typeof item === 'number' && Number.isInteger(item)) return new Uint(BigInt(item));
      break;
    case 'double':
      if (typeof item === 'number') return item;
      break;
    case 'bytes':
      if (typeof item === 'string') return new Uint8Array(Buffer.from(item, 'base64'));
      break;
    case 'timestamp':
      if (typeof item === 'string') return parseTimestamp(item.length === 10 ? `${item}T00:00:00Z` : item);
      break;
    case 'duration':
      if (typeof item === 'string') return parseDuration(item);
      break;
    case 'list':
      if (Array.isArray(item)) return new ListValue(item, type.params[0]!, type);
      break;
    case 'map':
      if (isRecord(item)) return new JsonMap(item, type.params[1]!);
      break;
    case 'object':
      if (isRecord(item) && type.fields) return new ObjectValue(item, type);
      break;
    case 'string':
      if (typeof item === 'string') return item;
      break;
    case 'bool':
      if (typeof item === 'boolean') return item;
      break;
    default:
      return adaptAny(item);
  }
  if (typeof item === 'bigint') return item;
  throw new CelError(
    `invalid data, expected ${type.name}, got ${Array.isArray(item) ? 'list' : typeof item}`,
  );
}

function adaptAny(item: unknown): Value {
  switch (typeof item) {
    case 'number':
      return Number.isInteger(item) ? BigInt(item) : item;
    case 'string':
    case 'boolean':
    case 'bigint':
      return item;
    default:
      if (Array.isArray(item)) return new ListValue(item, DYN);
      return new JsonMap(item as Record<string, unknown>);
  }
}

const isRecord = (item: unknown): item is Record<string, unknown> =>
  typeof item === 'object' && item !== null && !Array.isArray(item);

const isValue = (item: object): boolean =>
  item instanceof ListValue ||
  item instanceof MapValue ||
  item instanceof Opaque ||
  item instanceof Optional ||
  item instanceof Uint ||
  item instanceof Timestamp ||
  item instanceof Duration ||
  item instanceof TypeValue ||
  item instanceof Uint8Array;

/** A value as JSON; undefined where it has no such form. Ints become numbers, bytes base64, times text. */
export function toJson(value: Value): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number')
    return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint) return Number(value.value);
  if (value instanceof ListValue) return Array.from(value, toJson);
  if (value instanceof ObjectValue || value instanceof JsonMap) return structuredClone(value.native);
  if (value instanceof MapValue) {
    const entries = [...value.keys()].map((key) => [String(key), toJson(value.find(key)!)]);
    return Object.fromEntries(entries);
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Timestamp) return timestampText(value);
  if (value instanceof Duration) return durationText(value);
  if (value instanceof Optional) return value.value === undefined ? undefined : toJson(value.value);
  return undefined;
}
