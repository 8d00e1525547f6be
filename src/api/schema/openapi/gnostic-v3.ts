/** OpenAPI v3 documents as gnostic's `openapi.v3.Document`. */
import type { Json } from './definitions.js';
import {
  any,
  double,
  type Encode,
  each,
  encoded,
  flag,
  integer,
  message,
  object,
  pairs,
  text,
  texts,
  within,
} from './gnostic.js';

/** "One of" the thing itself (1) and a reference to it (2). */
const orReference = (encode: Encode): Encode => {
  const direct = within(1, encode);
  const referring = within(2, reference);
  return (writer, value: Json) => (typeof value['$ref'] === 'string' ? referring : direct)(writer, value);
};
const reference: Encode = object(() => ({ $ref: text(1), summary: text(2), description: text(3) }), 0);

/** Defaults that are objects or lists have no form: the message is empty. */
const defaultType: Encode = (writer, value: unknown) => {
  if (typeof value === 'number') double(1)[1](writer, value);
  else if (typeof value === 'boolean') writer.uint32(2 << 3).bool(value);
  else if (typeof value === 'string') text(3)[1](writer, value);
};

const schemaOrBoolean: Encode = (writer, value: Json | boolean) => {
  if (typeof value === 'boolean') writer.uint32(2 << 3).bool(value);
  else within(1, schemaOrReference)(writer, value);
};

const schema: Encode = object(
  () => ({
    nullable: flag(1),
    readOnly: flag(3),
    writeOnly: flag(4),
    externalDocs: message(
      6,
      object(() => ({ description: text(1), url: text(2) }), 3),
    ),
    example: message(7, any),
    deprecated: flag(8),
    title: text(9),
    multipleOf: double(10),
    maximum: double(11),
    exclusiveMaximum: flag(12),
    minimum: double(13),
    exclusiveMinimum: flag(14),
    maxLength: integer(15),
    minLength: integer(16),
    pattern: text(17),
    maxItems: integer(18),
    minItems: integer(19),
    uniqueItems: flag(20),
    maxProperties: integer(21),
    minProperties: integer(22),
    required: texts(23),
    enum: each(24, any),
    type: text(25),
    allOf: each(26, schemaOrReference),
    oneOf: each(27, schemaOrReference),
    anyOf: each(28, schemaOrReference),
    not: message(29, schema),
    items: message(30, within(1, schemaOrReference)),
    properties: message(31, pairs(1, schemaOrReference)),
    additionalProperties: message(32, schemaOrBoolean),
    default: message(33, defaultType),
    description: text(34),
    format: text(35),
  }),
  36,
);
const schemaOrReference: Encode = orReference(schema);

const mediaTypes = pairs(
  1,
  object(() => ({ schema: message(1, schemaOrReference) }), 5),
);

const parameter = object(
  () => ({
    name: text(1),
    in: text(2),
    description: text(3),
    required: flag(4),
    schema: message(10, schemaOrReference),
  }),
  14,
);

const requestBody = object(
  () => ({ description: text(1), content: message(2, mediaTypes), required: flag(3) }),
  4,
);

const response = object(() => ({ description: text(1), content: message(3, mediaTypes) }), 5);

const operation = object(
  () => ({
    tags: texts(1),
    description: text(3),
    operationId: text(5),
    parameters: each(6, orReference(parameter)),
    requestBody: message(7, orReference(requestBody)),
    responses: message(8, pairs(2, orReference(response))),
    deprecated: flag(10),
  }),
  13,
);

const pathItem = object(
  () => ({
    get: message(4, operation),
    put: message(5, operation),
    post: message(6, operation),
    delete: message(7, operation),
    options: message(8, operation),
    head: message(9, operation),
    patch: message(10, operation),
    parameters: each(13, orReference(parameter)),
  }),
  14,
);

const securityScheme = object(() => ({ type: text(1), description: text(2), name: text(3), in: text(4) }), 9);

const components = object(
  () => ({
    schemas: message(1, pairs(1, schemaOrReference)),
    securitySchemes: message(7, pairs(1, orReference(securityScheme))),
  }),
  10,
);

const document = object(
  () => ({
    openapi: text(1),
    info: message(
      2,
      object(() => ({ title: text(1), description: text(2), version: text(6) }), 7),
    ),
    paths: message(4, pairs(1, pathItem)),
    components: message(5, components),
  }),
  9,
);

/** Encodes a document of `openApiV3`, or of custom kinds. */
export const encodeOpenApiV3 = (json: Json): Uint8Array => encoded(document, json);
