/** Builds type schemas from the table of facts, each on first use. */
import { type FieldFact, hasTypes, type TypeFact, typeFact } from './facts.js';
import { typeNameOf, typePrefixOf } from './groups.js';
import type { FieldSchema, TypeSchema, ValueKind, ValueSchema } from './types.js';

/** Types with a JSON form of their own. */
const SPECIAL: Record<string, ValueKind> = {
  Quantity: 'quantity',
  IntOrString: 'intOrString',
  'runtime.RawExtension': 'any',
  'meta/v1.interface{}': 'any',
  'apiextensions/v1.JSON': 'any',
  'meta/v1.FieldsV1': 'fieldsV1',
  'meta/v1.Time': 'time',
  'meta/v1.MicroTime': 'microTime',
  'meta/v1.Duration': 'duration',
  'apiextensions/v1.JSONSchemaPropsOrArray': 'schemaOrArray',
  'apiextensions/v1.JSONSchemaPropsOrBool': 'schemaOrBool',
  'apiextensions/v1.JSONSchemaPropsOrStringArray': 'schemaOrStringArray',
};

const SCALARS: Record<string, string> = {
  string: 'string',
  boolean: 'bool',
  int32: 'int32',
  int64: 'int64',
  double: 'float64',
  bytes: '[]uint8',
};

const types = new Map<string, TypeSchema>();

/** `core/v1.PodSpec` as Go prints it: `v1.PodSpec`. */
function goName(full: string): string {
  return full.slice(full.indexOf('/') + 1);
}

/** The schema of a type expression such as `list<core/v1.Container>`. */
function valueSchema(expression: string): ValueSchema {
  const special = SPECIAL[expression];
  if (special?.startsWith('schemaOr'))
    return {
      kind: special,
      goType: goName(expression),
      get ref() {
        return typeSchema('apiextensions/v1.JSONSchemaProps');
      },
    };
  if (special) return { kind: special, goType: goName(expression) };
  const scalar = SCALARS[expression];
  if (scalar) return { kind: expression as ValueKind, goType: scalar };
  if (expression.startsWith('list<')) {
    const element = valueSchema(expression.slice(5, -1));
    return { kind: 'list', goType: `[]${element.goType}`, element };
  }
  if (expression.startsWith('map<')) {
    const element = valueSchema(expression.slice(4, -1));
    return { kind: 'map', goType: `map[string]${element.goType}`, element };
  }
  return namedSchema(expression);
}

function namedSchema(name: string): ValueSchema {
  const fact = typeFact(name);
  if (!fact || fact.alias?.includes('struct{}')) return { kind: 'any', goType: goName(name) };
  if (fact.alias !== undefined)
    return {
      ...valueSchema(fact.alias),
      goType: goName(name),
      alias: name,
      ...(fact.enum ? { enum: fact.enum } : {}),
    };
  return { kind: 'ref', goType: goName(name), ref: typeSchema(name) as TypeSchema };
}

/** A field whose value schema is built when it is first asked for. */
class LazyField implements FieldSchema {
  readonly name: string;
  readonly required: boolean;
  readonly pointer: boolean;
  readonly omit: 'empty' | 'zero' | 'never';
  declare patchStrategy?: string;
  declare patchMergeKey?: string;
  declare listType?: 'atomic' | 'set' | 'map';
  declare listMapKeys?: readonly string[];
  declare mapType?: 'atomic' | 'granular';
  declare structType?: 'atomic' | 'granular';
  declare default?: unknown;
  declare featureGate?: string;
  #type: string;
  #value: ValueSchema | undefined;

  constructor(name: string, fact: FieldFact) {
    this.name = name;
    this.required = fact.required ?? false;
    this.#type = fact.type;
    this.pointer = fact.pointer ?? false;
    this.omit = fact.omit ?? 'empty';
    const { type, required, pb, wire, pointer, omit, default: fallback, ...rest } = fact;
    Object.assign(this, rest);
    if (fallback !== undefined && !fallback.startsWith('ref(')) this.default = JSON.parse(fallback);
  }

  get value(): ValueSchema {
    this.#value ??= this.name === 'uid' && this.#type === 'string' ? UID : valueSchema(this.#type);
    return this.#value;
  }
}
const UID: ValueSchema = { kind: 'string', goType: 'types.UID' };

function addFields(fields: Map<string, FieldSchema>, fact: TypeFact): void {
  for (const { type } of fact.inline ?? []) {
    const inlined = typeFact(type);
    if (inlined) addFields(fields, inlined);
  }
  for (const name in fact.fields) fields.set(name, new LazyField(name, fact.fields[name] as FieldFact));
}

class LazyType implements TypeSchema {
  readonly name: string;
  readonly goName: string;
  readonly fields = new Map<string, FieldSchema>();
  declare structType?: 'atomic';
  #structs: FieldSchema[] | undefined;

  constructor(name: string) {
    this.name = name;
    this.goName = name.slice(name.indexOf('.') + 1);
  }

  get structs(): readonly FieldSchema[] {
    this.#structs ??= [...this.fields.values()].filter(
      (field) => !field.pointer && field.omit !== 'zero' && field.value.kind === 'ref',
    );
    return this.#structs;
  }
}

/** The schema of an object type such as `core/v1.PodSpec`; undefined for what is no object type. */
export function typeSchema(name: string): TypeSchema | undefined {
  const known = types.get(name);
  if (known) return known;
  const fact = typeFact(name);
  if (!fact) return undefined;
  if (fact.alias !== undefined) return typeSchema(fact.alias);
  const schema = new LazyType(name);
  types.set(name, schema);
  addFields(schema.fields, fact);
  if (fact.structType) schema.structType = fact.structType;
  return schema;
}

/** The schema of a built-in kind; undefined for what this API does not have. */
export function typeOfKind(apiVersion: string, kind: string): TypeSchema | undefined {
  return typeSchema(typeNameOf(apiVersion, kind));
}

/** Whether the kinds of a group version ('' for core) have a schema, and so a protobuf form. */
export function hasSchema(group: string, version: string): boolean {
  return hasTypes(typePrefixOf(group, version));
}
