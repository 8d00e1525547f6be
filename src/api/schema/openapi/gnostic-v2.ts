/** OpenAPI v2 documents as gnostic's `openapi.v2.Document`. */
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
    type: message(22, text(1)[1]),
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
export const encodeOpenApiV2 = (json: Json): Uint8Array => encoded(document, json);
