/** How gnostic, whose protobuf form of OpenAPI client-go asks for, lays out messages, maps and extensions. */
import protobuf from 'protobufjs/minimal.js';
import type { Json } from './definitions.js';

type Writer = protobuf.Writer;
export type Encode = (writer: Writer, value: any) => void;

/** How the fields of a message are written: by JSON name, its number and encoder. */
type Message = Record<string, readonly [number, Encode]>;

const tag = (id: number, wire: number): number => (id << 3) | wire;

function nested(writer: Writer, id: number, encode: Encode, value: unknown): void {
  writer.uint32(tag(id, 2)).fork();
  encode(writer, value);
  writer.ldelim();
}

/** A field that is itself a message. */
export const message = (id: number, encode: Encode): readonly [number, Encode] => [
  id,
  (writer, value) => nested(writer, id, encode, value),
];
export const each = (id: number, encode: Encode): readonly [number, Encode] => [
  id,
  (writer, list: unknown[]) => {
    for (const value of list) nested(writer, id, encode, value);
  },
];
export const text = (id: number): readonly [number, Encode] => [
  id,
  (writer, value: string) => writer.uint32(tag(id, 2)).string(value),
];
export const texts = (id: number): readonly [number, Encode] => [
  id,
  (writer, list: string[]) => {
    for (const value of list) writer.uint32(tag(id, 2)).string(value);
  },
];
export const flag = (id: number): readonly [number, Encode] => [
  id,
  (writer, value: boolean) => {
    if (value) writer.uint32(tag(id, 0)).bool(true);
  },
];

export const double = (id: number): readonly [number, Encode] => [
  id,
  (writer, value: number) => writer.uint32(tag(id, 1)).double(value),
];
export const integer = (id: number): readonly [number, Encode] => [
  id,
  (writer, value: number) => writer.uint32(tag(id, 0)).int64(value),
];

/** gnostic's Any: the value as YAML; JSON is YAML. */
export const any: Encode = (writer, value) => writer.uint32(tag(2, 2)).string(JSON.stringify(value));

const named =
  (encode: Encode): Encode =>
  (writer, [name, value]: [string, unknown]) => {
    writer.uint32(tag(1, 2)).string(name);
    nested(writer, 2, encode, value);
  };

/** An object as repeated (name, value) pairs in field `id`. */
export const pairs =
  (id: number, encode: Encode): Encode =>
  (writer, object: Json) => {
    for (const pair of Object.entries(object)) nested(writer, id, named(encode), pair);
  };

/** Writes an object by its table; `x-` members go to the message's vendor extensions. */
export const object =
  (fields: () => Message, extension: number): Encode =>
  (writer, value: Json) => {
    const table = fields();
    for (const name in value) {
      const field = table[name];
      if (field) field[1](writer, value[name]);
      else if (name.startsWith('x-')) nested(writer, extension, named(any), [name, value[name]]);
    }
  };

/** A message whose only field `id` holds the value: gnostic's form of "one of". */
export const within =
  (id: number, encode: Encode): Encode =>
  (writer, value) =>
    nested(writer, id, encode, value);

/** The bytes of a document. */
export function encoded(document: Encode, json: Json): Uint8Array {
  const writer = protobuf.Writer.create();
  document(writer, json);
  return writer.finish();
}
