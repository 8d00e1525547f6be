/** The OpenAPI documents of custom kinds, in the forms of both versions. */
import type { Resource } from '../resources/define.js';
import { typeNameOf } from '../schema/groups.js';
import type { Json } from '../schema/openapi/definitions.js';
import { definitionName } from '../schema/openapi/names.js';
import { pathsV2 } from '../schema/openapi/v2.js';
import { pathsV3 } from '../schema/openapi/v3.js';
import { EMBEDDED, INT_OR_STRING, isMap, PRESERVE, type Schema } from './schema.js';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';

/** Texts of what every object has. */
const API_VERSION =
  'APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources';
const KIND =
  'Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds';
const OBJECT_META =
  "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

export interface Paths {
  paths: Json;
  schemas: Record<string, Json>;
}

/** `com.example.stable.v1.CronTab` for `stable.example.com/v1`. */
const nameOf = ({ group, version }: Resource, kind: string): string =>
  `${group.split('.').reverse().join('.')}.${version}.${kind}`;

/** Operations of the built-in verbs on these versions, and the definitions of their objects and lists. */
export function customOpenApi(resources: readonly Resource[], dialect: 'v2' | 'v3'): Paths {
  const base = dialect === 'v2' ? '#/definitions/' : '#/components/schemas/';
  const own = new Map<string, string>();
  const schemas: Record<string, Json> = {};
  for (const resource of resources) {
    const { apiVersion, kind, listKind } = resource;
    own.set(typeNameOf(apiVersion, kind), nameOf(resource, kind));
    own.set(typeNameOf(apiVersion, listKind), nameOf(resource, listKind));
    schemas[nameOf(resource, kind)] = objectDefinition(resource, dialect, base);
    schemas[nameOf(resource, listKind)] = listDefinition(resource, base);
  }
  const definitions = {
    reference: (full: string) => ({ $ref: base + (own.get(full) ?? definitionName(full)) }),
  };
  const docs = { types: {}, parameters: {} };
  const paths =
    dialect === 'v2' ? pathsV2(resources, definitions, docs) : pathsV3(resources, definitions, docs);
  return { paths, schemas };
}

const kindsOf = ({ group, version }: Resource, kind: string) => ({
  'x-kubernetes-group-version-kind': [{ group, kind, version }],
});

function reference(dialect: 'v2' | 'v3', base: string, name: string, description: string): Json {
  const $ref = `${base}${META}.${name}`;
  return dialect === 'v2' ? { $ref, description } : { description, allOf: [{ $ref }] };
}

function objectDefinition(resource: Resource, dialect: 'v2' | 'v3', base: string): Json {
  const { schema } = resource.custom!;
  const published = dialect === 'v2' ? toV2(schema) : (schema as Json);
  const metadata = reference(dialect, base, 'ObjectMeta', OBJECT_META);
  if (schema[PRESERVE] && !schema.properties)
    return { ...published, type: 'object', ...kindsOf(resource, resource.kind) };
  const { properties = {}, ...rest } = published;
  return {
    ...rest,
    type: 'object',
    properties: {
      ...properties,
      apiVersion: { type: 'string', description: API_VERSION },
      kind: { type: 'string', description: KIND },
      metadata: properties['metadata']?.description
        ? { ...metadata, description: properties['metadata'].description }
        : metadata,
    },
    ...kindsOf(resource, resource.kind),
  };
}

function listDefinition(resource: Resource, base: string): Json {
  const { kind, listKind } = resource;
  return {
    description: `${listKind} is a list of ${kind}`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { description: API_VERSION, type: 'string' },
      items: {
        description: `List of ${resource.plural}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md`,
        type: 'array',
        items: { $ref: base + nameOf(resource, kind) },
      },
      kind: { description: KIND, type: 'string' },
      metadata: {
        description:
          'Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds',
        $ref: `${base}${META}.ListMeta`,
      },
    },
    ...kindsOf(resource, listKind),
  };
}

const NOT_IN_V2 = ['oneOf', 'anyOf', 'allOf', 'not', 'nullable', 'default', 'example', 'externalDocs'];

/** Version 2 knows neither alternatives nor nulls: what needs them is left open. */
function toV2(schema: Schema): Json {
  const out: Json = {};
  for (const [name, value] of Object.entries(schema)) {
    if (NOT_IN_V2.includes(name)) continue;
    if (name === 'properties')
      out[name] = Object.fromEntries(
        Object.entries(value as Record<string, Schema>).map(([k, v]) => [k, toV2(v)]),
      );
    else if ((name === 'items' || name === 'additionalProperties') && isMap(value))
      out[name] = toV2(value as Schema);
    else if (name === 'additionalProperties') out[name] = { type: 'object' };
    else out[name] = value;
  }
  if (schema.nullable || schema[PRESERVE] || schema[INT_OR_STRING]) {
    if (schema.nullable || schema[INT_OR_STRING]) delete out['type'];
    delete out['items'];
    delete out['properties'];
    if (!schema[EMBEDDED]) delete out['required'];
  }
  return out;
}
