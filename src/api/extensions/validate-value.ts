/**
 * Validation of values by schema, with upstream's messages (kube-openapi `validate`). Given the value that was there
 * before, what did not change is not held against who changes something else (ratcheting, KEP-4008).
 */

import {
  type FieldError,
  type FieldErrorType,
  notSupported,
  required,
  tooLong,
  tooMany,
} from '../machinery/field.js';
import { compilePattern } from '../machinery/patterns.js';
import { hasFormat } from './formats.js';
import {
  childPath,
  equalJson,
  INT_OR_STRING,
  isMap,
  itemsOf,
  type Json,
  LIST_MAP_KEYS,
  LIST_TYPE,
  type Schema,
  valuesOf,
} from './schema.js';

/** All that is wrong with `value` at `path`, once each. `old`: what was there before. */
export function validateValue(value: unknown, schema: Schema, path = '', old?: unknown): FieldError[] {
  const seen = new Set<string>();
  return errorsOf(value, schema, path, old).filter(({ field, message }) => {
    const text = `${field} ${message}`;
    return !seen.has(text) && seen.add(text);
  });
}

function errorsOf(value: unknown, schema: Schema, path: string, old?: unknown): FieldError[] {
  if (old !== undefined && equalJson(value, old)) return [];
  const type = value === null && schema.nullable ? [] : typeErrors(value, schema, path);
  if (value === null) return [...type, ...enumErrors(value, schema, path)];
  return [
    ...type,
    ...scalarErrors(value, schema, path),
    ...enumErrors(value, schema, path),
    ...(Array.isArray(value) ? listErrors(value, schema, path, old) : []),
    ...(isMap(value) ? mapErrors(value, schema, path, old) : []),
    ...combinedErrors(value, schema, path),
  ];
}

const NO_PATH = '<nil>';

const shown = (value: unknown): string => JSON.stringify(value ?? '');

function problem(
  path: string,
  value: unknown,
  detail: string,
  type: FieldErrorType = 'FieldValueInvalid',
): FieldError {
  return { type, field: path || NO_PATH, message: `Invalid value: ${shown(value)}: ${detail}` };
}

/** What a JSON value is called in errors. */
function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function typeErrors(value: unknown, schema: Schema, path: string): FieldError[] {
  const actual = typeName(value);
  const wrong = (wanted: string, found = actual) => [
    problem(
      path,
      found,
      `${path} in body must be of type ${wanted}: ${JSON.stringify(found)}`,
      'FieldValueTypeInvalid',
    ),
  ];
  if (schema[INT_OR_STRING])
    return actual === 'integer' || actual === 'string' ? [] : wrong('integer,string');
  const { type, format } = schema;
  if (!type || actual === type) return [];
  const numeric = type === 'number' || type === 'integer';
  if (type === 'number' && actual === 'integer') return [];
  if (!format || value === null) return wrong(type);
  // A format stands for the type: that of strings is checked elsewhere, and others are named by it.
  if (actual === 'string' || actual === 'array') return numeric ? wrong(type) : [];
  return wrong(format, { integer: 'int64', number: 'float64' }[actual] ?? '');
}

function scalarErrors(value: unknown, schema: Schema, path: string): FieldError[] {
  if (typeof value === 'number') return numberErrors(value, schema, path);
  if (typeof value !== 'string') return [];
  const errors: FieldError[] = [];
  const length = [...value].length;
  const { maxLength, minLength, pattern, format } = schema;
  // The first of these alone is told.
  if (maxLength !== undefined && length > maxLength) errors.push(tooLong(path || NO_PATH, maxLength));
  else if (minLength !== undefined && length < minLength)
    errors.push(problem(path, value, `${path} in body should be at least ${minLength} chars long`));
  else if (pattern && !compilePattern(pattern).test(value))
    errors.push(problem(path, value, `${path} in body should match '${pattern}'`));
  if (format && !hasFormat(value, format))
    errors.push(
      problem(
        path,
        value,
        `${path} in body must be of type ${format}: ${JSON.stringify(value)}`,
        'FieldValueTypeInvalid',
      ),
    );
  return errors;
}

function numberErrors(value: number, schema: Schema, path: string): FieldError[] {
  const { type, maximum, minimum, exclusiveMaximum, exclusiveMinimum, multipleOf, format } = schema;
  const errors: FieldError[] = [];
  const fail = (text: string) => errors.push(problem(path, value, `${path} in body should be ${text}`));
  if (multipleOf !== undefined && !Number.isInteger(Number((value / multipleOf).toPrecision(12))))
    fail(`a multiple of ${multipleOf}`);
  if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum))
    fail(`less than ${exclusiveMaximum ? '' : 'or equal to '}${maximum}`);
  if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum))
    fail(`greater than ${exclusiveMinimum ? '' : 'or equal to '}${minimum}`);
  if (type === 'integer' && !isOfFormat(value, format)) {
    const named = format ? `with format ${format}` : '(default format)';
    errors.push(problem('', '', `Checked value must be of type integer ${named} in ${path}`));
  }
  return errors;
}

/** Whether it is an integer, of 32 bits where the format says so. */
const isOfFormat = (value: number, format: string | undefined): boolean =>
  Number.isInteger(value) && (format !== 'int32' || (value | 0) === value);

function enumErrors(value: unknown, schema: Schema, path: string): FieldError[] {
  const allowed = schema.enum as unknown[] | undefined;
  if (allowed === undefined || allowed.length === 0) return [];
  if (allowed.some((item) => equalJson(item, value))) return [];
  return [
    notSupported(
      path || NO_PATH,
      value,
      allowed.map((item) => (typeof item === 'string' ? item : JSON.stringify(item))),
    ),
  ];
}

function listErrors(value: unknown[], schema: Schema, path: string, old: unknown): FieldError[] {
  const { maxItems, minItems, uniqueItems } = schema;
  const errors: FieldError[] = [];
  const items = itemsOf(schema);
  if (minItems !== undefined && value.length < minItems)
    errors.push(problem(path, value.length, `${path} in body should have at least ${minItems} items`));
  if (maxItems !== undefined && value.length > maxItems) errors.push(tooMany(path, value.length, maxItems));
  if (uniqueItems && value.some((item, i) => value.slice(0, i).some((other) => equalJson(item, other))))
    errors.push(problem(path, '', `${path} in body shouldn't contain duplicates`));
  if (items === undefined) return errors;
  const before = oldItems(schema, old);
  value.forEach((item, i) => {
    errors.push(...errorsOf(item, items, `${path}[${i}]`, before(item)));
  });
  return errors;
}

/** Finds what an item was before, where the items of a list can be told apart by keys. */
export function oldItems(schema: Schema, old: unknown): (item: unknown) => unknown {
  const keys = schema[LIST_MAP_KEYS] as string[] | undefined;
  if (!Array.isArray(old) || schema[LIST_TYPE] !== 'map' || !keys) return () => undefined;
  const properties = itemsOf(schema)?.properties ?? {};
  const id = (item: unknown) =>
    isMap(item)
      ? JSON.stringify(keys.map((key) => item[key] ?? properties[key]?.default ?? null))
      : undefined;
  const known = new Map(old.map((item) => [id(item), item]));
  return (item) => {
    const own = id(item);
    return own === undefined ? undefined : known.get(own);
  };
}

function mapErrors(value: Json, schema: Schema, path: string, old: unknown): FieldError[] {
  const { properties = {}, additionalProperties, maxProperties, minProperties } = schema;
  const errors: FieldError[] = [];
  const count = Object.keys(value).length;
  if (minProperties !== undefined && count < minProperties)
    errors.push(problem(path, count, `${path} in body should have at least ${minProperties} properties`));
  if (maxProperties !== undefined && count > maxProperties)
    errors.push(tooMany(path || NO_PATH, count, maxProperties));
  for (const name of schema.required ?? [])
    if (!Object.hasOwn(value, name)) errors.push(required(childPath(path, name)));
  const before = isMap(old) ? old : {};
  const values = valuesOf(schema);
  for (const name in value) {
    const member = Object.hasOwn(properties, name) ? properties[name] : values;
    const at = childPath(path, name);
    if (member !== undefined)
      errors.push(
        ...errorsOf(value[name], member, at, Object.hasOwn(before, name) ? before[name] : undefined),
      );
    else if (additionalProperties === false)
      errors.push(problem(at, '', `${at} in body is a forbidden property`));
  }
  return errors;
}

/** Errors of schemas that are combined have no path of their own. */
const combined = (path: string, text: string): FieldError => ({
  type: 'FieldValueInvalid',
  field: NO_PATH,
  message: `Invalid value: "": ${JSON.stringify(path)} ${text}`,
});

function combinedErrors(value: unknown, schema: Schema, path: string): FieldError[] {
  const { anyOf = [], oneOf = [], allOf = [], not } = schema;
  const errors: FieldError[] = [];
  const run = (schemas: readonly Schema[]) => schemas.map((one) => errorsOf(value, one, path));
  const fewest = (results: FieldError[][]) => results.reduce((a, b) => (b.length < a.length ? b : a));
  if (anyOf.length > 0) {
    const results = run(anyOf);
    if (!results.some((result) => result.length === 0))
      errors.push(combined(path, 'must validate at least one schema (anyOf)'), ...fewest(results));
  }
  if (oneOf.length > 0) {
    const results = run(oneOf);
    const valid = results.filter((result) => result.length === 0).length;
    if (valid !== 1)
      errors.push(
        combined(
          path,
          `must validate one and only one schema (oneOf). Found ${valid === 0 ? 'none valid' : `${valid} valid alternatives`}`,
        ),
        ...(valid === 0 ? fewest(results) : []),
      );
  }
  if (allOf.length > 0) {
    const results = run(allOf);
    const failed = results.filter((result) => result.length > 0);
    if (failed.length > 0)
      errors.push(
        ...failed.flat(),
        combined(
          path,
          `must validate all the schemas (allOf)${failed.length === results.length ? '. None validated' : ''}`,
        ),
      );
  }
  if (not !== undefined && errorsOf(value, not, path).length === 0)
    errors.push(combined(path, 'must not validate the schema (not)'));
  return errors;
}
