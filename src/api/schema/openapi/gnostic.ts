/** OpenAPI v2 documents in the protobuf form that client-go asks for (gnostic's `openapi.v2.Document`). */
import protobuf from 'protobufjs/minimal.js';
import type { Json } from './definitions.js';

type Writer = protobuf.Writer;
type Encode = (writer: Writer, value: any) => void;

/** How the fields of a message are written: by JSON name, its number and encoder. */
type Message = Record<string, readonly [number, Encode]>;

const tag = (id: number, wire: number): number => (id << 3) | wire;

function nested(writer: Writer, id: number, encode: Encode, value: unknown): void {
  writer.uint32(tag(id, 2)).fork();
  encode(writer, value);
  writer.ldelim();
}

/** A field that is itself a message. */
const message = (id: number, encode: Encode): readonly [number, Encode] => [
  id,
  (writer, value) => nested(writer, id, encode, value),
];
const each = (id: number, encode: Encode): readonly [number, Encode] => [
  id,
  (writer, list: unknown[]) => {
    for (const value of list) nested(writer, id, encode, value);
  },
];
const text = (id: number): readonly [number, Encode] => [
  id,
  (writer, value: string) => writer.uint32(tag(id, 2)).string(value),
];
const texts = (id: number): readonly [number, Encode] => [
  id,
  (writer, list: string[]) => {
    for (const value of list) writer.uint32(tag(id, 2)).string(value);
  },
];
const flag = (id: number): readonly [number, Encode] => [
  id,
  (writer, value: boolean) => {
    if (value) writer.uint32(tag(id, 0)).bool(true);
  },
];

const double = (id: number): readonly [number, Encode] => [
  id,
  (writer, value: number) => writer.uint32(tag(id, 1)).double(value),
];
const integer = (id: number): readonly [number, Encode] => [
  id,
  (writer, value: number) => writer.uint32(tag(id, 0)).int64(value),
];

/** gnostic's Any: the value as YAML; JSON is YAML. */
const any: Encode = (writer, value) => writer.uint32(tag(2, 2)).string(JSON.stringify(value));

const named =
  (encode: Encode): Encode =>
  (writer, [name, value]: [string, unknown]) => {
    writer.uint32(tag(1, 2)).string(name);
    nested(writer, 2, encode, value);
  };

/** An object as repeated (name, value) pairs in field `id`. */
const pairs =
  (id: number, encode: Encode): Encode =>
  (writer, object: Json) => {
    for (const pair of Object.entries(object)) nested(writer, id, named(encode), pair);
  };

/** Writes an object by its table; `x-` members go to the message's vendor extensions. */
const object =
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
const within =
  (id: number, encode: Encode): Encode =>
  (writer, value) =>
    nested(writer, id, encode, value);

const schema: Encode = object(
  () => ({
    $ref: text(1),
    format: text(2),
    title: text(3),
    description: text(4),
    default: message(5, any),
    multipleOf: double(6),
    maximum: double(7),
    exclusiveMaximum: flag(8),
    minimum: double(9),
    exclusiveMinimum: flag(10),
    maxLength: integer(11),
    minLength: integer(12),
    pattern: text(13),
    maxItems: integer(14),
    minItems: integer(15),
    uniqueItems: flag(16),
    maxProperties: integer(17),
    minProperties: integer(18),
    required: texts(19),
    enum: each(20, any),
    additionalProperties: message(21, within(1, schema)),
    type: message(22, (writer, value: string) => writer.uint32(tag(1, 2)).string(value)),
    items: message(23, within(1, schema)),
    allOf: each(24, schema),
    properties: message(25, pairs(1, schema)),
  }),
  31,
);

const bodyParameter = object(
  () => ({ description: text(1), name: text(2), in: text(3), required: flag(4), schema: message(5, schema) }),
  6,
);
const queryParameter = object(
  () => ({
    required: flag(1),
    in: text(2),
    description: text(3),
    name: text(4),
    type: text(6),
    uniqueItems: flag(20),
  }),
  23,
);
const pathParameter = object(
  () => ({
    required: flag(1),
    in: text(2),
    description: text(3),
    name: text(4),
    type: text(5),
    uniqueItems: flag(19),
  }),
  22,
);

/** ParametersItem → Parameter → body, or non-body → query or path. */
const parameter: Encode = (writer, value: Json) => {
  const encode =
    value['in'] === 'body'
      ? within(1, bodyParameter)
      : within(2, value['in'] === 'path' ? within(4, pathParameter) : within(3, queryParameter));
  within(1, encode)(writer, value);
};

const response = object(() => ({ description: text(1), schema: message(2, within(1, schema)) }), 5);

const operation = object(
  () => ({
    tags: texts(1),
    description: text(3),
    operationId: text(5),
    produces: texts(6),
    consumes: texts(7),
    parameters: each(8, parameter),
    responses: message(9, pairs(1, within(1, response))),
    schemes: texts(10),
    deprecated: flag(11),
  }),
  13,
);

const pathItem = object(
  () => ({
    get: message(2, operation),
    put: message(3, operation),
    post: message(4, operation),
    delete: message(5, operation),
    options: message(6, operation),
    head: message(7, operation),
    patch: message(8, operation),
    parameters: each(9, parameter),
  }),
  10,
);

const apiKey = object(() => ({ type: text(1), name: text(2), in: text(3), description: text(4) }), 5);

const document = object(
  () => ({
    swagger: text(1),
    info: message(
      2,
      object(() => ({ title: text(1), version: text(2) }), 7),
    ),
    paths: message(8, pairs(2, pathItem)),
    definitions: message(9, pairs(1, schema)),
    security: each(
      12,
      pairs(1, (writer, list: string[]) => texts(1)[1](writer, list)),
    ),
    securityDefinitions: message(13, pairs(1, within(2, apiKey))),
  }),
  16,
);

/** Encodes a document of `openApiV2`. */
export function encodeOpenApiV2(json: Json): Uint8Array {
  const writer = protobuf.Writer.create();
  document(writer, json);
  return writer.finish();
}
