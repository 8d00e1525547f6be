/**
 * CEL's values: `bigint` is int, `number` is double; strings, booleans, null and bytes (`Uint8Array`) are themselves.
 * JSON data is wrapped, not copied: what is inside is converted when it is reached.
 */

import { adapt } from './adapt.js';
import { CelError } from './errors.js';
import {
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  NULL,
  optionalOf,
  STRING,
  TIMESTAMP,
  type Type,
  typeOf,
  UINT,
} from './types.js';

export class Uint {
  constructor(readonly value: bigint) {}
}

/** Nanoseconds since 1970. */
export class Timestamp {
  constructor(readonly nanos: bigint) {}
}

/** Nanoseconds. */
export class Duration {
  constructor(readonly nanos: bigint) {}
}

export class TypeValue {
  constructor(readonly type: Type) {}
}

export class Optional {
  static readonly none = new Optional(undefined);
  constructor(readonly value: Value | undefined) {}
}

/** A value of a library's own type, without fields. */
export abstract class Opaque {
  abstract readonly type: Type;
  equals(other: Opaque): boolean {
    return this === other;
  }
  /** Its length where it has one; counted in costs. */
  get size(): number {
    return 1;
  }
}

export class ListValue {
  /** Items are JSON of `element`, or values already where it is undefined. */
  constructor(
    readonly items: readonly unknown[],
    readonly element?: Type,
    /** Of the list itself, where its elements are a set or keyed. */
    readonly type?: Type,
  ) {}

  get size(): number {
    return this.items.length;
  }

  at(index: number): Value {
    const item = this.items[index];
    return this.element ? adapt(item, this.element) : (item as Value);
  }

  *[Symbol.iterator](): IterableIterator<Value> {
    for (let i = 0; i < this.items.length; i++) yield this.at(i);
  }
}

/** A map, or an object with declared fields. */
export abstract class MapValue {
  abstract readonly size: number;
  abstract find(key: Value): Value | undefined;
  abstract keys(): Iterable<Value>;
  has(key: Value): boolean {
    return this.find(key) !== undefined;
  }
}

/** Keys of maps that are equal have one form: `1`, `1u` and `1.0` are the same key. */
export function keyForm(key: Value): string | undefined {
  switch (typeof key) {
    case 'string':
      return `s${key}`;
    case 'bigint':
      return `n${key}`;
    case 'boolean':
      return `b${key}`;
    case 'number':
      return Number.isInteger(key) ? `n${BigInt(key)}` : undefined;
    default:
      return key instanceof Uint ? `n${key.value}` : undefined;
  }
}

/** A map made by an expression. */
export class Entries extends MapValue {
  readonly #entries: Map<string, [Value, Value]>;
  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    super();
    this.#entries = new Map();
    for (const [key, value] of entries) this.insert(key, value);
  }
  get size(): number {
    return this.#entries.size;
  }
  find(key: Value): Value | undefined {
    const form = keyForm(key);
    return form === undefined ? undefined : this.#entries.get(form)?.[1];
  }
  *keys(): Iterable<Value> {
    for (const [key] of this.#entries.values()) yield key;
  }
  /** Throws where the key is taken or can be none; for who makes the map. */
  insert(key: Value, value: Value): void {
    const form = keyForm(key);
    if (form === undefined) throw new CelError(`unsupported key type`);
    if (this.#entries.has(form)) throw new CelError(`insert failed: key ${String(key)} already exists`);
    this.#entries.set(form, [key, value]);
  }
}

/** A JSON object whose keys are free. */
export class JsonMap extends MapValue {
  constructor(
    readonly native: Readonly<Record<string, unknown>>,
    readonly value: Type = DYN,
  ) {
    super();
  }
  get size(): number {
    return Object.keys(this.native).length;
  }
  find(key: Value): Value | undefined {
    if (typeof key !== 'string' || !Object.hasOwn(this.native, key)) return undefined;
    const item = this.native[key];
    return item === undefined ? undefined : adapt(item, this.value);
  }
  *keys(): Iterable<Value> {
    for (const key in this.native) if (this.native[key] !== undefined) yield key;
  }
}

/** A JSON object with the fields of its type. */
export class ObjectValue extends MapValue {
  constructor(
    readonly native: Readonly<Record<string, unknown>>,
    readonly type: Type,
  ) {
    super();
  }
  get size(): number {
    return [...this.keys()].length;
  }
  find(key: Value): Value | undefined {
    const field = typeof key === 'string' ? this.type.fields?.get(key) : undefined;
    const item =
      field && Object.hasOwn(this.native, field.property) ? this.native[field.property] : undefined;
    return item === undefined ? undefined : adapt(item, field!.type);
  }
  *keys(): Iterable<Value> {
    for (const [name, { property }] of this.type.fields ?? [])
      if (Object.hasOwn(this.native, property) && this.native[property] !== undefined) yield name;
  }
}

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint
  | Uint8Array
  | Timestamp
  | Duration
  | TypeValue
  | Optional
  | Opaque
  | ListValue
  | MapValue;

/** The type that a value has at run time; what lists and maps hold is left open. */
export function typeOfValue(value: Value): Type {
  switch (typeof value) {
    case 'string':
      return STRING;
    case 'bigint':
      return INT;
    case 'number':
      return DOUBLE;
    case 'boolean':
      return BOOL;
  }
  if (value === null) return NULL;
  if (value instanceof ListValue) return listOf(DYN);
  if (value instanceof ObjectValue) return value.type;
  if (value instanceof MapValue) return mapOf(DYN, DYN);
  if (value instanceof Uint) return UINT;
  if (value instanceof Timestamp) return TIMESTAMP;
  if (value instanceof Duration) return DURATION;
  if (value instanceof Uint8Array) return BYTES;
  if (value instanceof Optional) return optionalOf(DYN);
  if (value instanceof TypeValue) return typeOf(value.type);
  return value.type;
}

/** The length of what has one, else 1: strings in characters, lists and maps in elements. */
export function sizeOf(value: Value): number {
  if (typeof value === 'string') return characters(value);
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof ListValue || value instanceof MapValue || value instanceof Opaque) return value.size;
  return 1;
}

/** Length in Unicode code points. */
export function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00) {
      count--;
      i++;
    }
  }
  return count;
}
