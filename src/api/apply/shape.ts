/** What server-side apply needs to know of a value: is it owned as a whole, by fields, by keys or by items. */
import { typeOfKind } from '../schema/index.js';
import type { FieldSchema, TypeSchema, ValueSchema } from '../schema/types.js';

export type JsonObject = Record<string, unknown>;

export type Shape =
  | { form: 'scalar'; scalar: 'numeric' | 'string' | 'boolean' | 'untyped' }
  /** `keys`: the fields that tell items apart; absent for a set of scalars. */
  | { form: 'list'; atomic: true; item: Shape }
  | { form: 'list'; atomic: false; keys?: readonly string[]; item: Shape }
  /** `role` tells an object of the API itself and its metadata from structs within. */
  | { form: 'struct'; atomic: boolean; type: TypeSchema; role?: 'object' | 'metadata' }
  | { form: 'map'; atomic: boolean; value: Shape }
  /** Whatever it is: maps by key, lists as a whole. */
  | { form: 'untyped' }
  /** Nobody owns it. */
  | { form: 'untracked' };

export const UNTYPED: Shape = { form: 'untyped' };
const UNTRACKED: Shape = { form: 'untracked' };
const ATOMIC_LIST: Shape = { form: 'list', atomic: true, item: UNTYPED };
const UNTYPED_MAP: Shape = { form: 'map', atomic: false, value: UNTYPED };
const UNTYPED_SCALAR: Shape = { form: 'scalar', scalar: 'untyped' };

/** What identifies the object, and what the server alone writes. */
const UNTRACKED_METADATA = new Set([
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'clusterName',
  'generation',
  'managedFields',
  'resourceVersion',
]);

const fields = new WeakMap<FieldSchema, Shape>();
const values = new WeakMap<ValueSchema, Shape>();
const structs = new WeakMap<TypeSchema, { granular: Shape; atomic: Shape }>();
const kinds = new Map<string, Shape>();

/** The shape of a kind's objects; untyped for one without a schema. */
export function shapeOfKind(apiVersion: string, kind: string): Shape {
  const id = `${apiVersion}/${kind}`;
  let shape = kinds.get(id);
  if (shape === undefined) {
    const type = typeOfKind(apiVersion, kind);
    shape = type === undefined ? UNTYPED : { form: 'struct', atomic: false, type, role: 'object' };
    kinds.set(id, shape);
  }
  return shape;
}

function structShape(type: TypeSchema, atomic: boolean): Shape {
  let both = structs.get(type);
  if (both === undefined) {
    both = {
      granular: { form: 'struct', atomic: false, type },
      atomic: { form: 'struct', atomic: true, type },
    };
    structs.set(type, both);
  }
  return atomic ? both.atomic : both.granular;
}

/** The shape of a field of a struct, or of a value of a map; undefined for a field that there is not. */
export function memberShape(shape: Shape, name: string): Shape | undefined {
  if (shape.form === 'map') return shape.value;
  if (shape.form !== 'struct') return UNTYPED;
  if (shape.role !== undefined) {
    const special = identityShape(shape.role, shape.type, name);
    if (special !== undefined) return special;
  }
  const field = shape.type.fields.get(name);
  if (field === undefined) return shape.type.open ? UNTYPED : undefined;
  return fieldShape(field);
}

/** What of an object itself has another shape than the same within other objects. */
function identityShape(role: 'object' | 'metadata', type: TypeSchema, name: string): Shape | undefined {
  if (role === 'metadata') return UNTRACKED_METADATA.has(name) ? UNTRACKED : undefined;
  if (name === 'apiVersion' || name === 'kind') return UNTRACKED;
  if (name !== 'metadata') return undefined;
  const meta = type.fields.get(name)?.value.ref;
  if (meta === undefined) return undefined;
  metadataShape ??= { form: 'struct', atomic: false, type: meta, role: 'metadata' };
  return metadataShape;
}
let metadataShape: Shape | undefined;

/** Whether members are fields that the type names, as opposed to keys. */
export const isField = (shape: Shape, name: string): boolean =>
  shape.form === 'struct' && shape.type.fields.has(name);

function fieldShape(field: FieldSchema): Shape {
  let shape = fields.get(field);
  if (shape === undefined) {
    shape = shapeOf(field);
    fields.set(field, shape);
  }
  return shape;
}

function shapeOf(field: FieldSchema): Shape {
  const { value, listType, listMapKeys, mapType, structType } = field;
  if (value.kind === 'list') {
    const item = valueShape(value.element as ValueSchema);
    if (listType === 'map')
      return { form: 'list', atomic: false, keys: [...(listMapKeys ?? [])].sort(), item };
    if (listType === 'set') return { form: 'list', atomic: false, item };
    return { form: 'list', atomic: true, item };
  }
  if (value.kind === 'map')
    return { form: 'map', atomic: mapType === 'atomic', value: valueShape(value.element as ValueSchema) };
  if (value.kind === 'ref' && structType !== undefined)
    return structShape(value.ref as TypeSchema, structType === 'atomic');
  return valueShape(value);
}

function valueShape(value: ValueSchema): Shape {
  let shape = values.get(value);
  if (shape === undefined) {
    shape = makeShape(value);
    values.set(value, shape);
  }
  return shape;
}

function makeShape(value: ValueSchema): Shape {
  switch (value.kind) {
    case 'string':
    case 'bytes':
    case 'duration':
      return { form: 'scalar', scalar: 'string' };
    case 'boolean':
      return { form: 'scalar', scalar: 'boolean' };
    case 'int32':
    case 'int64':
    case 'double':
      return { form: 'scalar', scalar: 'numeric' };
    case 'quantity':
    case 'intOrString':
    case 'time':
    case 'microTime':
      return UNTYPED_SCALAR;
    case 'list':
      return { form: 'list', atomic: true, item: valueShape(value.element as ValueSchema) };
    case 'map':
      return { form: 'map', atomic: false, value: valueShape(value.element as ValueSchema) };
    case 'ref': {
      const type = value.ref as TypeSchema;
      return structShape(type, type.structType === 'atomic');
    }
    default:
      return UNTYPED;
  }
}

/** The shape that an untyped value turns out to have. Null fits every shape. */
export function deduce(shape: Shape, value: unknown): Shape {
  if (shape.form !== 'untyped' || value === null || value === undefined) return shape;
  if (typeof value !== 'object') return UNTYPED_SCALAR;
  return Array.isArray(value) ? ATOMIC_LIST : UNTYPED_MAP;
}

export const isMap = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Null, `{}` and `[]`: these are owned as a whole, so that they stay apart from what is absent. */
export function isBlank(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (Array.isArray(value)) return value.length === 0;
  for (const _ in value as object) return false;
  return true;
}

const empties = new WeakMap<TypeSchema, JsonObject>();

/** An object of a kind before anybody gave it a value, as Go would have it: structs are there, pointers are not. */
export function emptyOf(shape: Shape): JsonObject {
  return shape.form === 'struct' ? emptyStruct(shape.type) : {};
}

function emptyStruct(type: TypeSchema): JsonObject {
  let empty = empties.get(type);
  if (empty === undefined) {
    empty = {};
    for (const field of type.structs) empty[field.name] = emptyStruct(field.value.ref as TypeSchema);
    for (const field of type.fields.values())
      if (field.omit === 'never' && !(field.name in empty) && isNil(field)) empty[field.name] = null;
    empties.set(type, empty);
  }
  return empty;
}

/** Whether Go writes null for a field that has no value and is never left out. */
const isNil = ({ pointer, value }: FieldSchema): boolean =>
  pointer || value.kind === 'list' || value.kind === 'map';
