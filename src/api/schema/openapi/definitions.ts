/** The schemas of types in OpenAPI v2 and v3. */
import { parseApiVersion } from '../../machinery/types.js';
import { typeSchema } from '../build.js';
import { typeFact } from '../facts.js';
import { typeNameParts } from '../groups.js';
import type { FieldSchema, TypeSchema, ValueSchema } from '../types.js';
import { definitionName } from './names.js';
import { specialDefinition, specialName } from './special.js';

export type Dialect = 'v2' | 'v3';
export type Json = Record<string, any>;

/** Documentation of types, fields and parameters, as the build extracts it. */
export interface Descriptions {
  types: Record<string, { description: string; fields: Record<string, string> }>;
  parameters: Record<string, string>;
}

export interface GroupVersionKindJson {
  group: string;
  kind: string;
  version: string;
}

const SCALARS: Record<string, Json> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
  duration: { type: 'string' },
};

/** What Go's zero value of an element or required field is in JSON. */
const ZERO: Record<string, unknown> = { string: '', boolean: false, int32: 0, int64: 0, double: 0, ref: {} };

/** What refers to types by name, such as `apps/v1.Deployment`. */
export interface References {
  reference(full: string): Json;
}

/** Builds definitions for one document: those asked for, and all that they refer to. */
export class Definitions {
  /** By definition name. */
  readonly schemas: Record<string, Json> = {};
  #dialect: Dialect;
  #docs: Descriptions;
  #served: readonly string[];

  /** `served`: the group versions that DeleteOptions and WatchEvent belong to. */
  constructor(dialect: Dialect, docs: Descriptions, served: readonly string[]) {
    this.#dialect = dialect;
    this.#docs = docs;
    this.#served = served;
  }

  /** A reference to a type; its definition is made if it was not yet. */
  reference(full: string): Json {
    const name = definitionName(full);
    if (!this.schemas[name]) {
      this.schemas[name] = {};
      this.schemas[name] = full === 'meta/v1.Patch' ? PATCH : this.#object(full);
    }
    return this.#pointer(name);
  }

  #pointer(name: string): Json {
    return { $ref: `#/${this.#dialect === 'v2' ? 'definitions' : 'components/schemas'}/${name}` };
  }

  #object(full: string): Json {
    const type = typeSchema(full);
    if (!type) throw new Error(`there is no type ${full}`);
    const description = this.#docs.types[full]?.description;
    const properties: Json = {};
    for (const name of [...type.fields.keys()].sort())
      properties[name] = this.#property(type, type.fields.get(name) as FieldSchema);
    const required = [...type.fields.values()].filter((field) => field.required).map((field) => field.name);
    return {
      ...(description ? { description } : {}),
      type: 'object',
      ...(required.length > 0 ? { required: required.sort() } : {}),
      ...(type.fields.size > 0 ? { properties } : {}),
      ...this.#kinds(full),
      ...(type.structType === 'atomic' ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    };
  }

  #property(type: TypeSchema, field: FieldSchema): Json {
    const description = this.#docs.types[type.name]?.fields[field.name];
    const siblings: Json = { ...(description ? { description } : {}), ...extensions(field) };
    if (this.#dialect === 'v3') {
      const fallback = defaultOf(field);
      if (fallback !== undefined) siblings['default'] = fallback;
    }
    return this.#with(this.#value(field.value), siblings);
  }

  /** In v3 a reference can't have siblings: it stands in an `allOf`. */
  #with(schema: Json, siblings: Json): Json {
    if (Object.keys(siblings).length === 0) return schema;
    if (this.#dialect === 'v3' && schema['$ref'] !== undefined) return { ...siblings, allOf: [schema] };
    return { ...schema, ...siblings };
  }

  #value(value: ValueSchema): Json {
    const scalar = SCALARS[value.kind];
    if (scalar) return value.enum ? { ...scalar, enum: value.enum } : scalar;
    switch (value.kind) {
      case 'list':
        return { type: 'array', items: this.#element(value.element as ValueSchema) };
      case 'map':
        return { type: 'object', additionalProperties: this.#element(value.element as ValueSchema) };
      case 'ref':
        return this.reference((value.ref as TypeSchema).name);
      default:
        return this.#special(value);
    }
  }

  #element(value: ValueSchema): Json {
    const fallback = this.#dialect === 'v3' ? ZERO[value.kind] : undefined;
    return this.#with(this.#value(value), fallback === undefined ? {} : { default: fallback });
  }

  #special(value: ValueSchema): Json {
    const name = specialName(value);
    if (!name) return { type: 'object' };
    this.schemas[name] ??= specialDefinition(value, this.#dialect);
    return this.#pointer(name);
  }

  #kinds(full: string): Json {
    const { group, version, kind } = typeNameParts(full);
    const everywhere = full === 'meta/v1.DeleteOptions' || full === 'meta/v1.WatchEvent';
    if (!everywhere && !typeFact(full)?.inline?.some(({ type }) => type === 'meta/v1.TypeMeta')) return {};
    const kinds: GroupVersionKindJson[] = everywhere
      ? this.#served.map((apiVersion) => ({ ...parseApiVersion(apiVersion), kind }))
      : [{ group, kind, version }];
    return { 'x-kubernetes-group-version-kind': kinds };
  }
}

const PATCH: Json = {
  description: 'The body of a patch request, in the form that its content type says.',
  type: 'object',
};

function extensions(field: FieldSchema): Json {
  return {
    ...(field.listMapKeys ? { 'x-kubernetes-list-map-keys': field.listMapKeys } : {}),
    ...(field.listType ? { 'x-kubernetes-list-type': field.listType } : {}),
    ...(field.mapType ? { 'x-kubernetes-map-type': field.mapType } : {}),
    ...(field.structType ? { 'x-kubernetes-map-type': field.structType } : {}),
    ...(field.patchMergeKey ? { 'x-kubernetes-patch-merge-key': field.patchMergeKey } : {}),
    ...(field.patchStrategy ? { 'x-kubernetes-patch-strategy': field.patchStrategy } : {}),
  };
}

function defaultOf(field: FieldSchema): unknown {
  if (field.default !== undefined) return field.default;
  const value = field.value.kind;
  if (field.pointer) return undefined;
  return value === 'ref' || field.omit === 'never' ? ZERO[value] : undefined;
}
