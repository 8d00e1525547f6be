/** Reads `application/vnd.kubernetes.protobuf` bodies into JSON values. */
import protobuf from 'protobufjs/minimal.js';
import { microTimestamp, timestamp } from '../../machinery/clock.js';
import { badRequest, StatusError } from '../../machinery/status.js';
import { typeOfKind } from '../build.js';
import { typeNameOf } from '../groups.js';
import type { TypeSchema, ValueSchema } from '../types.js';
import { isListMessage, MAGIC, messageOf, UNIONS } from './messages.js';

type Reader = protobuf.Reader;
type JsonObject = Record<string, unknown>;

const BYTES = 2;

/** A 64-bit integer as the number that JSON has. */
const number = (value: unknown): number =>
  typeof value === 'number' ? value : (value as { toNumber(): number }).toNumber();

/** Reads a message field by field: `read` takes the number and wire type, and says whether it knew the field. */
function fields(reader: Reader, read: (id: number, wire: number) => boolean): void {
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!read(tag >>> 3, tag & 7)) reader.skipType(tag & 7);
  }
}

/** The next length-delimited value as a reader of its own. */
const nested = (reader: Reader): Reader => protobuf.Reader.create(reader.bytes());

function setMember(object: JsonObject, name: string, value: unknown): void {
  if (value === undefined) return;
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

/** Reads an object of a type into `out`. */
function readObject(reader: Reader, type: string, out: JsonObject = {}): JsonObject {
  const { byNumber } = messageOf(type);
  fields(reader, (id, wire) => {
    const known = byNumber.get(id);
    if (!known) return false;
    if (known.inlined !== undefined) readObject(nested(reader), known.inlined, out);
    else if (known.field) readField(reader, wire, known.field.name, known.field.value, out);
    return true;
  });
  return out;
}

function readField(reader: Reader, wire: number, name: string, schema: ValueSchema, out: JsonObject): void {
  const element = schema.element as ValueSchema;
  if (schema.kind === 'list' && !isListMessage(schema)) {
    out[name] ??= [];
    readElements(reader, wire, element, out[name] as unknown[]);
  } else if (schema.kind === 'map') {
    out[name] ??= {};
    readEntry(nested(reader), element, out[name] as JsonObject);
  } else setMember(out, name, readValue(reader, schema));
}

/** One element of a list, or several packed scalars. */
function readElements(reader: Reader, wire: number, element: ValueSchema, list: unknown[]): void {
  if (wire === BYTES && /^(int32|int64|double|boolean)$/.test(element.kind)) {
    const packed = nested(reader);
    while (packed.pos < packed.len) list.push(readValue(packed, element));
  } else list.push(readValue(reader, element) ?? null);
}

function readEntry(reader: Reader, element: ValueSchema, map: JsonObject): void {
  let key = '';
  let value: unknown = null;
  fields(reader, (id) => {
    if (id === 1) key = reader.string();
    else if (id === 2) value = readValue(reader, element) ?? null;
    return id === 1 || id === 2;
  });
  setMember(map, key, value);
}

function readValue(reader: Reader, schema: ValueSchema): unknown {
  switch (schema.kind) {
    case 'string':
      return reader.string();
    case 'boolean':
      return reader.bool();
    case 'int32':
      return reader.int32();
    case 'int64':
      return number(reader.int64());
    case 'double':
      return reader.double();
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'quantity':
      return readText(nested(reader));
    case 'intOrString':
      return readIntOrString(nested(reader));
    case 'time':
    case 'microTime':
      return readTime(nested(reader), schema.kind);
    case 'ref':
      return readObject(nested(reader), (schema.ref as TypeSchema).name);
    case 'list':
      return readListMessage(nested(reader), schema.element as ValueSchema);
    case 'any':
    case 'fieldsV1':
      return readRaw(nested(reader));
    case 'schemaOrArray':
    case 'schemaOrBool':
    case 'schemaOrStringArray':
      return readUnion(nested(reader), schema.kind, (schema.ref as TypeSchema).name);
    default:
      throw new Error(`no protobuf form of ${schema.goType}`);
  }
}

/** A message whose field 1 is a text: a quantity. */
function readText(reader: Reader): string {
  let text = '0';
  fields(reader, (id) => {
    if (id === 1) text = reader.string();
    return id === 1;
  });
  return text;
}

function readIntOrString(reader: Reader): number | string {
  let isString = false;
  let int = 0;
  let text = '';
  fields(reader, (id) => {
    if (id === 1) isString = number(reader.int64()) === 1;
    else if (id === 2) int = reader.int32();
    else if (id === 3) text = reader.string();
    return id <= 3;
  });
  return isString ? text : int;
}

/** No seconds at all are no time: undefined. */
function readTime(reader: Reader, kind: 'time' | 'microTime'): string | undefined {
  if (reader.len === 0) return undefined;
  let seconds = 0;
  let nanos = 0;
  fields(reader, (id) => {
    if (id === 1) seconds = number(reader.int64());
    else if (id === 2) nanos = reader.int32();
    return id <= 2;
  });
  if (kind === 'time') return timestamp(seconds * 1000);
  return microTimestamp(seconds * 1000).replace(
    '.000000Z',
    `.${String(nanos).padStart(9, '0').slice(0, 6)}Z`,
  );
}

function readListMessage(reader: Reader, element: ValueSchema): unknown[] {
  const list: unknown[] = [];
  fields(reader, (id) => {
    if (id === 1) list.push(readValue(reader, element));
    return id === 1;
  });
  return list;
}

/** JSON in bytes, or another object in its envelope. */
function readRaw(reader: Reader): unknown {
  let bytes: Uint8Array | undefined;
  fields(reader, (id) => {
    if (id === 1) bytes = reader.bytes();
    return id === 1;
  });
  if (!bytes || bytes.length === 0) return undefined;
  const raw = Buffer.from(bytes);
  return raw.subarray(0, 4).equals(MAGIC) ? decodeProtobuf(raw).value : JSON.parse(raw.toString());
}

function readUnion(reader: Reader, kind: keyof typeof UNIONS, type: string): unknown {
  const numbers = UNIONS[kind];
  let schema: unknown;
  let allows = false;
  const list: unknown[] = [];
  fields(reader, (id) => {
    if (id === numbers.schema) schema = readObject(nested(reader), type);
    else if (id !== numbers.other) return false;
    else if (kind === 'schemaOrBool') allows = reader.bool();
    else list.push(kind === 'schemaOrArray' ? readObject(nested(reader), type) : reader.string());
    return true;
  });
  return schema ?? (kind === 'schemaOrBool' ? allows : list);
}

export interface ProtobufBody {
  apiVersion: string;
  kind: string;
  /** The object as JSON, with `apiVersion` and `kind`; zero values are in it, so it is to go through `decode`. */
  value: Record<string, unknown>;
}

/** Whether a body is protobuf, by its first bytes. */
export const isProtobuf = (bytes: Uint8Array): boolean => Buffer.from(bytes.subarray(0, 4)).equals(MAGIC);

/** The envelope: what kind of object it holds, and the object's own message. */
function readEnvelope(reader: Reader): { apiVersion: string; kind: string; raw: Uint8Array } {
  const found = { apiVersion: '', kind: '', raw: new Uint8Array() as Uint8Array };
  fields(reader, (id) => {
    if (id === 1) readTypeMeta(nested(reader), found);
    else if (id === 2) found.raw = reader.bytes();
    return id <= 2;
  });
  return found;
}

function readTypeMeta(reader: Reader, found: { apiVersion: string; kind: string }): void {
  fields(reader, (id) => {
    if (id === 1) found.apiVersion = reader.string();
    else if (id === 2) found.kind = reader.string();
    return id <= 2;
  });
}

/**
 * Reads a body in the envelope that the API wraps protobuf in (`runtime.Unknown` behind `k8s\0`). `fallback` is the
 * kind of a body that names none. Throws StatusError 400 for what is no such body, or of a kind without a schema.
 */
export function decodeProtobuf(
  bytes: Uint8Array,
  fallback?: { apiVersion: string; kind: string },
): ProtobufBody {
  if (!isProtobuf(bytes)) throw badRequest('provided data does not appear to be a protobuf message');
  try {
    const found = readEnvelope(protobuf.Reader.create(bytes.subarray(MAGIC.length)));
    const apiVersion = found.apiVersion || (fallback?.apiVersion ?? '');
    const kind = found.kind || (fallback?.kind ?? '');
    if (!typeOfKind(apiVersion, kind))
      throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}"`);
    const object = readObject(protobuf.Reader.create(found.raw), typeNameOf(apiVersion, kind));
    return { apiVersion, kind, value: { apiVersion, kind, ...object } };
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`unable to decode protobuf: ${(error as Error).message}`);
  }
}
