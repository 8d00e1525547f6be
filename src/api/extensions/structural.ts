/**
 * Whether a schema is structural: every field has a type, and value validations only restrict what is specified.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
import {
  child,
  describe,
  type FieldError,
  forbidden,
  index,
  invalid,
  key,
  required,
} from '../machinery/field.js';
import { compilePattern } from '../machinery/patterns.js';
import {
  EMBEDDED,
  equalJson,
  INT_OR_STRING,
  itemsOf,
  LIST_MAP_KEYS,
  LIST_TYPE,
  MAP_TYPE,
  PRESERVE,
  type Schema,
  VALIDATIONS,
  valuesOf,
} from './schema.js';

type Level = 'root' | 'item' | 'field';

const INT_OR_STRING_PATTERN = [{ type: 'integer' }, { type: 'string' }];

/** All that keeps a schema from being structural, in the order of the messages. */
export function structuralErrors(schema: Schema, path: string): FieldError[] {
  return [...invariants(schema, 'root', path), ...completeness(schema, path)].sort((a, b) =>
    describe(a) < describe(b) ? -1 : 1,
  );
}

const entries = (properties: Record<string, Schema> | undefined) => Object.entries(properties ?? {});

function invariants(schema: Schema, level: Level, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { properties, additionalProperties } = schema;
  const items = itemsOf(schema);
  if (schema.type === 'array' && items === undefined)
    errors.push(required(child(path, 'items'), 'must be specified'));
  if (items !== undefined) errors.push(...invariants(items, 'item', child(path, 'items')));
  for (const [name, property] of entries(properties))
    errors.push(...invariants(property, 'field', key(child(path, 'properties'), name)));
  const values = valuesOf(schema);
  const atValues = child(path, 'additionalProperties');
  if (additionalProperties !== undefined && level === 'root')
    errors.push(forbidden(atValues, 'must not be used at the root'));
  if (values !== undefined) errors.push(...invariants(values, 'field', atValues));
  for (const extension of [PRESERVE, EMBEDDED] as const)
    if (schema[INT_OR_STRING] && schema[extension])
      errors.push(invalid(child(path, extension), true, `must be false if ${INT_OR_STRING} is true`));
  errors.push(
    ...valueValidation(schema, path, allowsIntOrString(schema)),
    ...typeErrors(schema, level, path),
  );
  if (schema[EMBEDDED] && additionalProperties !== undefined)
    errors.push(forbidden(atValues, `must not be used if ${EMBEDDED} is set`));
  errors.push(...metadataErrors(schema, level, path));
  if (schema[EMBEDDED] && !schema[PRESERVE] && entries(properties).length === 0)
    errors.push(
      required(child(path, 'properties'), `must not be empty if ${EMBEDDED} is true without ${PRESERVE}`),
    );
  return errors;
}

function typeErrors(schema: Schema, level: Level, path: string): FieldError[] {
  const at = child(path, 'type');
  const errors: FieldError[] = [];
  if (schema[EMBEDDED] && schema.type !== 'object') {
    const why = `must be object if ${EMBEDDED} is true`;
    errors.push(schema.type ? invalid(at, schema.type, why) : required(at, why));
  } else if (!schema.type && !schema[INT_OR_STRING] && !schema[PRESERVE]) {
    const where = {
      root: 'at the root',
      item: 'for specified array items',
      field: 'for specified object fields',
    };
    errors.push(required(at, `must not be empty ${where[level]}`));
  }
  if (level === 'root' && schema.type && schema.type !== 'object')
    errors.push(invalid(at, schema.type, 'must be object at the root'));
  return errors;
}

/** Metadata is the API's own: a schema may only restrict names. */
function metadataErrors(schema: Schema, level: Level, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const resource = level === 'root' || Boolean(schema[EMBEDDED]);
  const { kind, apiVersion, metadata } = schema.properties ?? {};
  const at = (name: string) => key(child(path, 'properties'), name);
  if (resource && kind && kind.type !== 'string')
    errors.push(invalid(child(at('kind'), 'type'), kind.type ?? '', 'must be string'));
  if (resource && apiVersion && apiVersion.type !== 'string')
    errors.push(invalid(child(at('apiVersion'), 'type'), apiVersion.type ?? '', 'must be string'));
  if (!metadata) return errors;
  if (resource && metadata.type !== 'object')
    errors.push(invalid(child(at('metadata'), 'type'), metadata.type ?? '', 'must be object'));
  if (level !== 'root') return errors;
  const { type: _type, default: _default, properties = {}, description: _d, ...rest } = metadata;
  const onlyNames = Object.keys(properties).every((name) => name === 'name' || name === 'generateName');
  if (!onlyNames || Object.keys(rest).length > 0)
    errors.push(
      forbidden(
        at('metadata'),
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    );
  return errors;
}

/** Where the alternatives of an int-or-string may be spelled out with their types. */
interface Allowed {
  anyOf: boolean;
  firstAllOf: boolean;
}
const NOTHING: Allowed = { anyOf: false, firstAllOf: false };

function allowsIntOrString(schema: Schema): Allowed {
  const spelled = (one: Schema | undefined) => equalJson(one?.anyOf, INT_OR_STRING_PATTERN);
  return { anyOf: spelled(schema), firstAllOf: spelled(schema.allOf?.[0]) };
}

function valueValidation(schema: Schema, path: string, allowed: Allowed): FieldError[] {
  const errors: FieldError[] = [];
  if (!allowed.anyOf)
    schema.anyOf?.forEach((one, i) => {
      errors.push(...nested(one, index(child(path, 'anyOf'), i), NOTHING));
    });
  schema.allOf?.forEach((one, i) => {
    const first = { anyOf: allowed.firstAllOf && i === 0, firstAllOf: false };
    errors.push(...nested(one, index(child(path, 'allOf'), i), first));
  });
  schema.oneOf?.forEach((one, i) => {
    errors.push(...nested(one, index(child(path, 'oneOf'), i), NOTHING));
  });
  if (schema.not) errors.push(...nested(schema.not, child(path, 'not'), NOTHING));
  if (schema.pattern) errors.push(...patternErrors(schema.pattern, child(path, 'pattern')));
  return errors;
}

function patternErrors(pattern: string, path: string): FieldError[] {
  try {
    compilePattern(pattern);
    return [];
  } catch (error) {
    const why = (error as Error).message;
    return [invalid(path, pattern, `must be a valid regular expression, but isn't: ${why}`)];
  }
}

const EMPTY_IN_NESTED: [keyof Schema, string][] = [
  ['type', 'must be empty to be structural'],
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['externalDocs', 'must be undefined to be structural'],
  [PRESERVE, 'must be false to be structural'],
  [EMBEDDED, 'must be false to be structural'],
  [INT_OR_STRING, 'must be false to be structural'],
  [LIST_MAP_KEYS, 'must be empty to be structural'],
  [LIST_TYPE, 'must be undefined to be structural'],
  [MAP_TYPE, 'must be undefined to be structural'],
  [VALIDATIONS, 'must be empty to be structural'],
];

/** A schema below allOf, anyOf, oneOf or not restricts values and declares nothing. */
function nested(schema: Schema, path: string, allowed: Allowed): FieldError[] {
  const errors = valueValidation(schema, path, allowed);
  const items = itemsOf(schema);
  if (items !== undefined) errors.push(...nested(items, child(path, 'items'), NOTHING));
  for (const [name, property] of entries(schema.properties))
    errors.push(...nested(property, key(child(path, 'properties'), name), NOTHING));
  for (const [field, why] of EMPTY_IN_NESTED)
    if (schema[field]) errors.push(forbidden(child(path, field), why));
  if (schema.properties?.['metadata'])
    errors.push(
      forbidden(key(child(path, 'properties'), 'metadata'), 'must not be specified in a nested context'),
    );
  return errors;
}

/** Whatever value validations of the root speak of must be declared outside of them; upstream looks at no others. */
const completeness = (schema: Schema, path: string): FieldError[] =>
  alternatives(schema, path).flatMap(({ one, at }) => declared(one, schema, path, at));

function alternatives(schema: Schema, path: string): { one: Schema; at: string }[] {
  const lists = (['anyOf', 'allOf', 'oneOf'] as const).flatMap((name) =>
    (schema[name] ?? []).map((one, i) => ({ one, at: index(child(path, name), i) })),
  );
  return schema.not ? [...lists, { one: schema.not, at: child(path, 'not') }] : lists;
}

function declared(value: Schema, schema: Schema, path: string, at: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const { one, at: inner } of alternatives(value, at))
    errors.push(...declared(one, schema, path, inner));
  const wanted = itemsOf(value);
  if (wanted) {
    const items = itemsOf(schema);
    const [here, there] = [child(path, 'items'), child(at, 'items')];
    if (items) errors.push(...declared(wanted, items, here, there));
    else errors.push(required(here, `because it is defined in ${there}`));
  }
  for (const [name, property] of entries(value.properties)) {
    const [here, there] = [key(child(path, 'properties'), name), key(child(at, 'properties'), name)];
    const own = schema.properties?.[name];
    if (own) errors.push(...declared(property, own, here, there));
    else errors.push(required(here, `because it is defined in ${there}`));
  }
  return errors;
}
