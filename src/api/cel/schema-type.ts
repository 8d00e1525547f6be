/** Types from OpenAPI v3 schemas: what of a custom resource expressions can reach. */
import { escapeProperty } from './escape.js';
import {
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  type Field,
  INT,
  mapOf,
  objectOf,
  STRING,
  TIMESTAMP,
  type Type,
} from './types.js';

/** The parts of a schema that say what type a value has. */
export interface TypeSchema {
  type?: string;
  format?: string;
  properties?: Record<string, TypeSchema>;
  additionalProperties?: TypeSchema | boolean;
  items?: TypeSchema;
  required?: string[];
  enum?: unknown[];
  default?: unknown;
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
}

/** What a request can carry at most, in bytes; the size of what no schema bounds follows from it. */
export const MAX_REQUEST = 3 * 1024 * 1024;

/**
 * The type of values of `schema`, called `name` where it is an object; undefined where the schema says too little
 * (then no expression can reach the value). `root` adds what every resource has.
 */
export function schemaType(schema: TypeSchema, name: string, root = false): Type | undefined {
  if (schema['x-kubernetes-int-or-string'])
    return { ...DYN, maxSize: schema.maxLength === undefined ? MAX_REQUEST - 2 : bytes(schema.maxLength) };
  const type = root ? 'object' : schema.type;
  switch (type) {
    case 'array':
      return listType(schema, name);
    case 'object':
      return mapType(schema, name) ?? objectType(schema, name, root);
    case 'string':
      return stringType(schema);
    case 'boolean':
      return BOOL;
    case 'number':
      return DOUBLE;
    case 'integer':
      return INT;
    default:
      return undefined;
  }
}

const inner = (schema: TypeSchema, name: string): Type | undefined =>
  schemaType(schema, name, schema['x-kubernetes-embedded-resource'] === true);

function listType(schema: TypeSchema, name: string): Type | undefined {
  const element = schema.items && inner(schema.items, `${name}.@idx`);
  if (!element) return undefined;
  const listType = schema['x-kubernetes-list-type'];
  return {
    kind: 'list',
    name: 'list',
    params: [element],
    maxSize: schema.maxItems ?? Math.floor((MAX_REQUEST - 2) / (minSize(schema.items!) + 1)),
    ...(listType === 'set' || listType === 'map' ? { listType } : {}),
    ...(schema['x-kubernetes-list-map-keys'] && { listKeys: schema['x-kubernetes-list-map-keys'] }),
  };
}

function mapType(schema: TypeSchema, name: string): Type | undefined {
  const { additionalProperties } = schema;
  if (typeof additionalProperties !== 'object') return undefined;
  const value = inner(additionalProperties, `${name}.@elem`);
  if (!value) return undefined;
  const maxSize = schema.maxProperties ?? Math.floor((MAX_REQUEST - 2) / (minSize(additionalProperties) + 6));
  return { ...mapOf(STRING, value), maxSize };
}

const META: TypeSchema = {
  type: 'object',
  properties: { name: { type: 'string' }, generateName: { type: 'string' } },
};

function objectType(schema: TypeSchema, name: string, root: boolean): Type | undefined {
  if (typeof schema.additionalProperties === 'object') return undefined;
  const properties = root
    ? { ...schema.properties, apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: META }
    : (schema.properties ?? {});
  const fields = new Map<string, Field>();
  for (const [property, field] of Object.entries(properties)) {
    const escaped = escapeProperty(property);
    const type = escaped === undefined ? undefined : inner(field, `${name}.${escaped}`);
    if (type) fields.set(escaped!, { type, property });
  }
  return objectOf(name, fields);
}

const FORMATS: Record<string, [type: Type, maxSize: number]> = {
  byte: [BYTES, MAX_REQUEST - 2],
  duration: [DURATION, 32],
  date: [TIMESTAMP, 12],
  'date-time': [TIMESTAMP, 32],
};

/** Characters may take up to four bytes. */
const bytes = (maxLength: number): number => Math.max(0, maxLength) * 4;

function stringType({ format, maxLength, enum: values }: TypeSchema): Type {
  const known = format ? FORMATS[format] : undefined;
  if (known) return { ...known[0], maxSize: format === 'byte' ? (maxLength ?? known[1]) : known[1] };
  const size = maxLength === undefined ? undefined : bytes(maxLength);
  if (values && size === undefined)
    return { ...STRING, maxSize: Math.max(0, ...values.map((value) => String(value).length)) };
  return { ...STRING, maxSize: size ?? MAX_REQUEST - 2 };
}

const MIN_SIZES: Record<string, number> = { duration: 3, date: 12, 'date-time': 21 };

/** The least bytes that a value takes as JSON. */
export function minSize(schema: TypeSchema): number {
  if (schema['x-kubernetes-int-or-string']) return 1;
  switch (schema.type) {
    case 'boolean':
      return 4;
    case 'number':
    case 'integer':
      return 1;
    case 'object':
      return typeof schema.additionalProperties === 'object' ? 2 : objectSize(schema);
    default:
      return (schema.type === 'string' && MIN_SIZES[schema.format ?? '']) || 2;
  }
}

/** Only what has to be sent counts. */
function objectSize({ required = [], properties = {} }: TypeSchema): number {
  return required.reduce((sum, name) => {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (!property || property.default !== undefined) return sum;
    return sum + name.length + 4 + minSize(property);
  }, 2);
}
