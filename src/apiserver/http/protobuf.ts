/**
 * Bodies in Kubernetes' protobuf (`application/vnd.kubernetes.protobuf`) as the JSON values that they stand for.
 * Typed clients write so; they read JSON as well, so that only decoding is needed.
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */

import { microTimestamp, timestamp } from '../../api/machinery/clock.js';
import { badRequest } from '../../api/machinery/status.js';
import { type FieldFact, typeFact } from '../../api/schema/facts.js';
import { typeNameOf } from '../../api/schema/index.js';

const MAGIC = Buffer.from([0x6b, 0x38, 0x73, 0x00]);
/** Deeper than any API object, so that a crafted body can't exhaust the stack. */
const MAX_DEPTH = 100;

type Json = Record<string, unknown>;

const malformed = (why: string) => badRequest(`unable to decode protobuf body: ${why}`);

/** Reads tags and values of one message. */
class Reader {
  #at = 0;

  constructor(readonly bytes: Buffer) {}

  get done(): boolean {
    return this.#at >= this.bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw malformed('unexpected EOF');
  }

  tag(): { field: number; wire: number } {
    const tag = Number(this.varint());
    return { field: tag >>> 3, wire: tag & 7 };
  }

  /** The value of a field: a number for wire type 0, bytes for the others. */
  value(wire: number): bigint | Buffer {
    if (wire === 0) return this.varint();
    const length = wire === 1 ? 8 : wire === 5 ? 4 : wire === 2 ? Number(this.varint()) : -1;
    if (length < 0 || this.#at + length > this.bytes.length) throw malformed('unexpected EOF');
    const value = this.bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return value;
  }
}

function* fieldsOf(bytes: Buffer): Generator<{ field: number; value: bigint | Buffer }> {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const { field, wire } = reader.tag();
    yield { field, value: reader.value(wire) };
  }
}

const bytesOf = (value: bigint | Buffer): Buffer => {
  if (typeof value === 'bigint') throw malformed('wrong wire type');
  return value;
};

const numberOf = (value: bigint | Buffer): number => {
  if (typeof value !== 'bigint') throw malformed('wrong wire type');
  return Number(value);
};

interface Slot {
  /** The JSON name; undefined for an inlined message, whose fields stand in the outer object. */
  name: string | undefined;
  type: string;
  fact: FieldFact | undefined;
}

const layouts = new Map<string, Map<number, Slot>>();

/** The fields of a message by number. */
function layoutOf(type: string): Map<number, Slot> {
  let layout = layouts.get(type);
  if (!layout) {
    layout = new Map();
    const fact = typeFact(type);
    if (!fact) throw malformed(`unknown type ${type}`);
    for (const inline of fact.inline ?? [])
      if (inline.pb !== undefined)
        layout.set(inline.pb, { name: undefined, type: inline.type, fact: undefined });
    for (const [name, field] of Object.entries(fact.fields ?? {}))
      if (field.pb !== undefined) layout.set(field.pb, { name, type: field.type, fact: field });
    layouts.set(type, layout);
  }
  return layout;
}

/** The object in a body. Throws 400. */
export function decodeProtobuf(body: Buffer, apiVersion: string, kind: string): Json {
  if (!body.subarray(0, 4).equals(MAGIC)) throw malformed('the body does not begin with the expected prefix');
  let [version, name, raw] = [apiVersion, kind, Buffer.alloc(0)];
  for (const { field, value } of fieldsOf(body.subarray(4))) {
    if (field === 1) {
      for (const meta of fieldsOf(bytesOf(value))) {
        const text = bytesOf(meta.value).toString();
        if (meta.field === 1 && text !== '') version = text;
        if (meta.field === 2 && text !== '') name = text;
      }
    }
    if (field === 2) raw = bytesOf(value) as Buffer<ArrayBuffer>;
  }
  const type = typeNameOf(version, name);
  if (type === undefined)
    throw malformed(`no kind ${JSON.stringify(name)} is registered for version ${JSON.stringify(version)}`);
  return { apiVersion: version, kind: name, ...message(type, raw, 0) };
}

function message(type: string, bytes: Buffer, depth: number): Json {
  if (depth > MAX_DEPTH) throw malformed('nested too deeply');
  const layout = layoutOf(type);
  const out: Json = {};
  for (const { field, value } of fieldsOf(bytes)) {
    const slot = layout.get(field);
    if (slot === undefined) continue;
    if (slot.name === undefined) Object.assign(out, message(slot.type, bytesOf(value), depth + 1));
    else put(out, slot as Slot & { name: string }, value, depth);
  }
  return out;
}

function put(
  out: Json,
  { name, type, fact }: Slot & { name: string },
  value: bigint | Buffer,
  depth: number,
): void {
  if (type.startsWith('list<')) {
    const element = type.slice(5, -1);
    out[name] ??= [];
    (out[name] as unknown[]).push(...elements(element, value, depth));
    return;
  }
  const map = mapElement(type);
  if (map !== undefined) {
    out[name] ??= {};
    const [key, entry] = mapEntry(map, bytesOf(value), depth);
    Object.defineProperty(out[name], key, {
      value: entry,
      writable: true,
      enumerable: true,
      configurable: true,
    });
    return;
  }
  const decoded = single(type, value, depth);
  // Go writes zero values of fields that are no pointers; in JSON they are absent.
  if (decoded === undefined) return;
  if (fact && !fact.pointer && fact.omit !== 'never' && isZero(decoded)) return;
  out[name] = decoded;
}

const isZero = (value: unknown): boolean => value === '' || value === 0 || value === false;

/** Scalars may come packed: many in one field. */
function elements(element: string, value: bigint | Buffer, depth: number): unknown[] {
  if (typeof value !== 'bigint' && (element === 'int32' || element === 'int64')) {
    const reader = new Reader(value);
    const list: number[] = [];
    while (!reader.done) list.push(Number(reader.varint()));
    return list;
  }
  return [single(element, value, depth)];
}

/** The element type of a map, also behind an alias. */
function mapElement(type: string): string | undefined {
  const expression = typeFact(type)?.alias ?? type;
  return expression.startsWith('map<') ? expression.slice(4, -1) : undefined;
}

function mapEntry(element: string, bytes: Buffer, depth: number): [string, unknown] {
  let key = '';
  let value: unknown = element === 'string' || element === 'bytes' ? '' : undefined;
  for (const part of fieldsOf(bytes)) {
    if (part.field === 1) key = bytesOf(part.value).toString();
    if (part.field === 2) value = single(element, part.value, depth + 1);
  }
  return [key, value ?? null];
}

function single(type: string, value: bigint | Buffer, depth: number): unknown {
  switch (type) {
    case 'string':
      return bytesOf(value).toString();
    case 'bytes':
      return bytesOf(value).toString('base64');
    case 'boolean':
      return numberOf(value) !== 0;
    case 'int32':
    case 'int64':
      return numberOf(value);
    case 'double':
      return bytesOf(value).readDoubleLE();
    case 'Quantity':
      return first(bytesOf(value))?.toString() ?? '0';
    case 'IntOrString':
      return intOrString(bytesOf(value));
    case 'meta/v1.Time':
      return time(bytesOf(value), timestamp);
    case 'meta/v1.MicroTime':
      return time(bytesOf(value), microTimestamp);
    case 'meta/v1.Duration':
      return `${scalarField(bytesOf(value), 1) / 1e9}s`;
    case 'runtime.RawExtension':
    case 'apiextensions/v1.JSON':
    case 'meta/v1.FieldsV1':
      return rawJson(bytesOf(value));
  }
  const alias = typeFact(type)?.alias;
  if (alias === undefined) return message(type, bytesOf(value), depth + 1);
  // A named list is a message that holds its items.
  if (alias.startsWith('list<'))
    return [...fieldsOf(bytesOf(value))].map((item) => single(alias.slice(5, -1), item.value, depth + 1));
  return single(alias, value, depth);
}

/** The bytes of field 1. */
function first(bytes: Buffer): Buffer | undefined {
  for (const { field, value } of fieldsOf(bytes)) if (field === 1) return bytesOf(value);
  return undefined;
}

function scalarField(bytes: Buffer, wanted: number): number {
  for (const { field, value } of fieldsOf(bytes)) if (field === wanted) return numberOf(value);
  return 0;
}

function intOrString(bytes: Buffer): number | string {
  if (scalarField(bytes, 1) === 0) return scalarField(bytes, 2);
  for (const { field, value } of fieldsOf(bytes)) if (field === 3) return bytesOf(value).toString();
  return '';
}

/** An empty message is the zero time: absent in JSON. */
function time(bytes: Buffer, format: (ms: number) => string): string | undefined {
  if (bytes.length === 0) return undefined;
  const ms = scalarField(bytes, 1) * 1000 + scalarField(bytes, 2) / 1e6;
  if (Number.isNaN(new Date(ms).getTime())) throw malformed('a time is out of range');
  return format(ms);
}

function rawJson(bytes: Buffer): unknown {
  const raw = first(bytes);
  if (raw === undefined || raw.length === 0) return undefined;
  try {
    return JSON.parse(raw.toString());
  } catch {
    throw malformed('embedded JSON is malformed');
  }
}
