/** Validation of the schema of a version: what OpenAPI v3 and Kubernetes allow of it, structure, defaults and rules. */
import { applyDefaults } from '../../extensions/defaults.js';
import { embeddedErrors } from '../../extensions/embedded.js';
import { listTypeErrors } from '../../extensions/list-types.js';
import { prune } from '../../extensions/prune.js';
import { ruleErrors } from '../../extensions/rule-compile.js';
import {
  EMBEDDED,
  equalJson,
  itemsOf,
  LIST_MAP_KEYS,
  LIST_TYPE,
  MAP_TYPE,
  PRESERVE,
  type Schema,
  valuesOf,
} from '../../extensions/schema.js';
import { structuralErrors } from '../../extensions/structural.js';
import { validateValue } from '../../extensions/validate-value.js';
import {
  child,
  type FieldError,
  forbidden,
  index,
  invalid,
  key,
  notSupported,
  required,
} from '../../machinery/field.js';
import { deepCopy } from '../../machinery/types.js';

/** `old`: the schema before an update; one that stays as it was is not looked at again. */
export function schemaErrors(schema: Schema, path: string, old?: Schema): FieldError[] {
  if (old !== undefined && equalJson(schema, old)) return [];
  const errors = [
    ...(schema.nullable ? [forbidden(child(path, 'nullable'), 'nullable cannot be true at the root')] : []),
    ...openApiErrors(schema, path),
  ];
  const structural = structuralErrors(schema, path);
  if (errors.length > 0 || structural.length > 0) return [...errors, ...structural];
  return [...defaultErrors(schema, path, true), ...ruleErrors(schema, path)];
}

const UNSUPPORTED: [keyof Schema, string][] = [
  ['id' as keyof Schema, 'id'],
  ['additionalItems', 'additionalItems'],
  ['patternProperties', 'patternProperties'],
  ['definitions', 'definitions'],
  ['dependencies', 'dependencies'],
  ['$ref', '$ref'],
];
const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

function openApiErrors(schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [field, name] of UNSUPPORTED)
    if (schema[field] !== undefined) errors.push(forbidden(child(path, name), `${name} is not supported`));
  if (schema.type === 'null')
    errors.push(forbidden(child(path, 'type'), 'type cannot be set to null, use nullable as an alternative'));
  else if (schema.type && !TYPES.includes(schema.type))
    errors.push(notSupported(child(path, 'type'), schema.type, TYPES));
  if (Array.isArray(schema.items))
    errors.push(forbidden(child(path, 'items'), 'items must be a schema object and not an array'));
  if (schema.uniqueItems)
    errors.push(
      forbidden(
        child(path, 'uniqueItems'),
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  const { additionalProperties, properties } = schema;
  if (
    additionalProperties !== undefined &&
    additionalProperties !== true &&
    Object.keys(properties ?? {}).length > 0
  )
    errors.push(
      forbidden(
        child(path, 'additionalProperties'),
        'additionalProperties and properties are mutual exclusive',
      ),
    );
  errors.push(...extensionErrors(schema, path));
  for (const [one, at] of children(schema, path)) errors.push(...openApiErrors(one, at));
  return errors;
}

function children(schema: Schema, path: string): [Schema, string][] {
  const found: [Schema, string][] = [];
  const add = (one: Schema | undefined, at: string) => {
    if (one !== undefined) found.push([one, at]);
  };
  add(valuesOf(schema), child(path, 'additionalProperties'));
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    add(property, key(child(path, 'properties'), name));
  add(schema.not, child(path, 'not'));
  for (const name of ['allOf', 'oneOf', 'anyOf'] as const)
    schema[name]?.forEach((one, i) => {
      add(one, index(child(path, name), i));
    });
  add(itemsOf(schema), child(path, 'items'));
  return found;
}

function extensionErrors(schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const at = (...names: string[]) => child(path, ...names);
  const mustBe = (type: string, extension: string) => {
    const why = `must be ${type} if ${extension} is specified`;
    if (!schema.type) errors.push(required(at('type'), why));
    else if (schema.type !== type) errors.push(invalid(at('type'), schema.type, why));
  };
  if (schema[PRESERVE] === false) errors.push(invalid(at(PRESERVE), false, 'must be true or undefined'));
  const mapType = schema[MAP_TYPE];
  if (mapType !== undefined) {
    if (mapType !== 'granular' && mapType !== 'atomic')
      errors.push(notSupported(at(MAP_TYPE), mapType, ['atomic', 'granular']));
    mustBe('object', MAP_TYPE);
  }
  const listType = schema[LIST_TYPE];
  const keys = (schema[LIST_MAP_KEYS] as string[] | undefined) ?? [];
  if (listType !== undefined) {
    mustBe('array', LIST_TYPE);
    if (!['atomic', 'set', 'map'].includes(listType))
      errors.push(notSupported(at(LIST_TYPE), listType, ['atomic', 'set', 'map']));
  }
  if (keys.length > 0 && listType !== 'map') {
    const why = `must be map if ${LIST_MAP_KEYS} is non-empty`;
    errors.push(
      listType === undefined ? required(at(LIST_TYPE), why) : invalid(at(LIST_TYPE), listType, why),
    );
  }
  if (listType === 'map') errors.push(...listMapErrors(schema, keys, path));
  if (listType === 'set') errors.push(...listSetErrors(itemsOf(schema), at('items')));
  return errors;
}

const SCALARS = ['number', 'integer', 'boolean', 'string'];

function listMapErrors(schema: Schema, keys: string[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  const atKeys = child(path, LIST_MAP_KEYS);
  const atItems = child(path, 'items');
  if (keys.length === 0) errors.push(required(atKeys, `must not be empty if ${LIST_TYPE} is map`));
  const items = itemsOf(schema);
  if (items === undefined) return [...errors, required(atItems, `must have a schema if ${LIST_TYPE} is map`)];
  if (items.type !== 'object')
    errors.push(
      invalid(
        child(atItems, 'type'),
        items.type ?? '',
        `must be object if parent array's ${LIST_TYPE} is map`,
      ),
    );
  keys.forEach((name, i) => {
    const property = items.properties?.[name];
    const at = key(child(atItems, 'properties'), name);
    if (keys.indexOf(name) < i)
      errors.push({
        type: 'FieldValueDuplicate',
        field: index(atKeys, i),
        message: `Duplicate value: ${JSON.stringify(name)}`,
      });
    if (property === undefined) {
      errors.push(invalid(index(atKeys, i), name, 'entries must all be names of item properties'));
      return;
    }
    if (!SCALARS.includes(property.type ?? ''))
      errors.push(
        invalid(
          child(at, 'type'),
          property.type ?? '',
          `must be a scalar type if parent array's ${LIST_TYPE} is map`,
        ),
      );
    if (property.nullable)
      errors.push(
        forbidden(child(at, 'nullable'), `this property is in ${LIST_MAP_KEYS}, so it cannot be nullable`),
      );
    if (!items.required?.includes(name) && property.default === undefined)
      errors.push(
        required(
          child(at, 'default'),
          `this property is in ${LIST_MAP_KEYS}, so it must have a default or be a required property`,
        ),
      );
  });
  return errors;
}

function listSetErrors(items: Schema | undefined, path: string): FieldError[] {
  if (items === undefined) return [];
  const why = 'must be atomic as item of a list with x-kubernetes-list-type=set';
  if (items.nullable)
    return [forbidden(child(path, 'nullable'), 'cannot be nullable when x-kubernetes-list-type is set')];
  if (items.type === 'array' && items[LIST_TYPE] !== undefined && items[LIST_TYPE] !== 'atomic')
    return [invalid(child(path, LIST_TYPE), items[LIST_TYPE], why)];
  if (items.type === 'object' && items[MAP_TYPE] !== 'atomic')
    return [
      items[MAP_TYPE] === undefined
        ? required(child(path, MAP_TYPE), why)
        : invalid(child(path, MAP_TYPE), items[MAP_TYPE], why),
    ];
  return [];
}

/** Defaults must be what pruning leaves and validation lets pass. */
function defaultErrors(schema: Schema, path: string, root = false): FieldError[] {
  const errors: FieldError[] = [];
  const fallback: unknown = schema.default;
  if (fallback !== undefined && fallback !== null) {
    const at = child(path, 'default');
    if (root) errors.push(forbidden(at, 'must not be set in top-level structural schema'));
    const pruned = deepCopy(fallback);
    const dropped = prune(pruned, schema, Boolean(schema[EMBEDDED]));
    if (dropped.length > 0) errors.push(invalid(at, fallback, 'must not have unknown fields'));
    applyDefaults(pruned, schema, false);
    const found = [
      ...validateValue(pruned, schema, 'default'),
      ...listTypeErrors(pruned, schema, 'default', undefined, false),
      ...embeddedErrors(pruned, schema, 'default', false),
    ];
    errors.push(
      ...found.map((error) => ({
        ...error,
        field: error.field === '<nil>' ? error.field : child(path, error.field),
      })),
    );
  }
  for (const [one, where] of structure(schema, path)) errors.push(...defaultErrors(one, where));
  return errors;
}

function structure(schema: Schema, path: string): [Schema, string][] {
  const values = valuesOf(schema);
  const items = itemsOf(schema);
  return [
    ...Object.entries(schema.properties ?? {}).map(([name, property]): [Schema, string] => [
      property,
      key(child(path, 'properties'), name),
    ]),
    ...(values ? [[values, child(path, 'additionalProperties')] as [Schema, string]] : []),
    ...(items ? [[items, child(path, 'items')] as [Schema, string]] : []),
  ];
}
