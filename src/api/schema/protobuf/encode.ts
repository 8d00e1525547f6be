/** Writes objects as `application/vnd.kubernetes.protobuf`. */
import protobuf from 'protobufjs/minimal.js';
import { typeOfKind } from '../build.js';
import { typeNameOf } from '../groups.js';
import type { TypeSchema, ValueSchema } from '../types.js';
import { isListMessage, MAGIC, messageOf, UNIONS } from './messages.js';

type Writer = protobuf.Writer;
type JsonObject = Record<string, any>;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

const WIRE: Record<string, number> = { boolean: VARINT, int32: VARINT, int64: VARINT, double: FIXED64 };

/** Writes a length-delimited field. */
function message(writer: Writer, id: number, write: () => void): void {
  writer.uint32((id << 3) | BYTES).fork();
  write();
  writer.ldelim();
}

function writeObject(writer: Writer, object: JsonObject, type: string): void {
  for (const { number, field, inlined } of messageOf(type).fields) {
    if (inlined !== undefined) message(writer, number, () => writeObject(writer, object, inlined));
    else if (field) {
      const value = object[field.name];
      if (value !== undefined && value !== null) writeField(writer, number, value, field.value);
    }
  }
}

function writeField(writer: Writer, id: number, value: any, schema: ValueSchema): void {
  const element = schema.element as ValueSchema;
  if (schema.kind === 'list' && !isListMessage(schema)) {
    for (const item of value) writeTagged(writer, id, item, element);
  } else if (schema.kind === 'map') {
    for (const key of Object.keys(value).sort())
      message(writer, id, () => {
        writer.uint32((1 << 3) | BYTES).string(key);
        writeTagged(writer, 2, value[key], element);
      });
  } else writeTagged(writer, id, value, schema);
}

function writeTagged(writer: Writer, id: number, value: any, schema: ValueSchema): void {
  writer.uint32((id << 3) | (WIRE[schema.kind] ?? BYTES));
  switch (schema.kind) {
    case 'string':
      writer.string(value);
      break;
    case 'boolean':
      writer.bool(value);
      break;
    case 'int32':
      writer.int32(value);
      break;
    case 'int64':
      writer.int64(value);
      break;
    case 'double':
      writer.double(value);
      break;
    case 'bytes':
      writer.bytes(Buffer.from(value, 'base64'));
      break;
    default:
      writer.fork();
      writeMessage(writer, value, schema);
      writer.ldelim();
  }
}

/** The inside of what is a message on the wire. */
function writeMessage(writer: Writer, value: any, schema: ValueSchema): void {
  switch (schema.kind) {
    case 'ref':
      writeObject(writer, value, (schema.ref as TypeSchema).name);
      break;
    case 'quantity':
      writer.uint32((1 << 3) | BYTES).string(String(value));
      break;
    case 'intOrString':
      writeIntOrString(writer, value);
      break;
    case 'time':
    case 'microTime':
      writeTime(writer, value);
      break;
    case 'list':
      for (const item of value) writeTagged(writer, 1, item, schema.element as ValueSchema);
      break;
    case 'any':
    case 'fieldsV1':
      writer.uint32((1 << 3) | BYTES).bytes(Buffer.from(JSON.stringify(value)));
      break;
    case 'schemaOrArray':
    case 'schemaOrBool':
    case 'schemaOrStringArray':
      writeUnion(writer, value, schema.kind, schema);
      break;
    default:
      throw new Error(`no protobuf form of ${schema.goType}`);
  }
}

function writeIntOrString(writer: Writer, value: number | string): void {
  const isString = typeof value === 'string';
  writer.uint32(1 << 3).int64(isString ? 1 : 0);
  writer.uint32(2 << 3).int32(isString ? 0 : value);
  writer.uint32((3 << 3) | BYTES).string(isString ? value : '');
}

/** No time is an empty message. */
function writeTime(writer: Writer, text: string | null): void {
  if (text === null) return;
  const micros = /\.(\d{6})/.exec(text)?.[1] ?? '0';
  writer.uint32(1 << 3).int64(Math.floor(Date.parse(text) / 1000));
  writer.uint32(2 << 3).int32(Number(micros) * 1000);
}

function writeUnion(writer: Writer, value: any, kind: keyof typeof UNIONS, schema: ValueSchema): void {
  const numbers = UNIONS[kind];
  const type = (schema.ref as TypeSchema).name;
  if (typeof value === 'boolean') writer.uint32(numbers.other << 3).bool(value);
  else if (!Array.isArray(value)) {
    if (kind === 'schemaOrBool') writer.uint32(numbers.other << 3).bool(true);
    message(writer, numbers.schema, () => writeObject(writer, value, type));
  } else
    for (const item of value)
      if (kind === 'schemaOrStringArray') writer.uint32((numbers.other << 3) | BYTES).string(item);
      else message(writer, numbers.other, () => writeObject(writer, item, type));
}

/** The message of an object of a type such as `core/v1.Pod`, without an envelope: as it stands in lists. */
export function encodeMessage(object: object, type: string): Buffer {
  const writer = protobuf.Writer.create();
  writeObject(writer, object, type);
  const bytes = writer.finish();
  // Not from Node's pool of buffers, which it would hold on to as long as the object's version lives.
  const own = Buffer.allocUnsafeSlow(bytes.length);
  own.set(bytes);
  return own;
}

const heads = new Map<string, Buffer>();

/** The envelope's type, which is the same for all objects of a kind. */
function headOf(apiVersion: string, kind: string): Buffer {
  const key = `${apiVersion} ${kind}`;
  let head = heads.get(key);
  if (!head) {
    const writer = protobuf.Writer.create();
    message(writer, 1, () => {
      writer.uint32((1 << 3) | BYTES).string(apiVersion);
      writer.uint32((2 << 3) | BYTES).string(kind);
    });
    head = Buffer.concat([MAGIC, writer.finish()]);
    heads.set(key, head);
  }
  return head;
}

/** The envelope's content encoding and type, both empty. */
const TAIL = Buffer.from([(3 << 3) | BYTES, 0, (4 << 3) | BYTES, 0]);

/** The tag and length that stand before a length-delimited field (numbered below 16) of `length` bytes. */
export function fieldHead(id: number, length: number): Uint8Array {
  const head = [(id << 3) | BYTES];
  let rest = length;
  for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128);
  head.push(rest);
  return Uint8Array.from(head);
}

/** A message, given in pieces, in the envelope that the API wraps protobuf in. */
export function inEnvelope(apiVersion: string, kind: string, pieces: Uint8Array[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return Buffer.concat([headOf(apiVersion, kind), fieldHead(2, length), ...pieces, TAIL]);
}

/**
 * An object in the envelope that the API wraps protobuf in; undefined for a kind without a schema (custom
 * resources have no protobuf form).
 */
export function encodeProtobuf(object: { apiVersion: string; kind: string }): Buffer | undefined {
  const { apiVersion, kind } = object;
  if (!typeOfKind(apiVersion, kind)) return undefined;
  return inEnvelope(apiVersion, kind, [encodeMessage(object, typeNameOf(apiVersion, kind))]);
}
