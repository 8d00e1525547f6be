/** Checks JSON values against the schema of their kind, as the API server's decoder does. */
import { canonicalQuantity, QuantityError } from '../machinery/quantity.js';
import { badRequest, StatusError } from '../machinery/status.js';
import { deepCopy } from '../machinery/types.js';
import { typeOfKind, typeSchema } from './build.js';
import { emptyObject, isEmpty, zero } from './empty.js';
import { canonicalBytes, canonicalMicroTime, canonicalTime, FormatError } from './scalars.js';
import type { FieldSchema, TypeSchema, ValueSchema } from './types.js';

/** What happens to unknown and duplicate fields: the `fieldValidation` parameter in lower case. */
export type FieldValidation = 'strict' | 'warn' | 'ignore';

export interface DecodeOptions {
  mode: FieldValidation;
  /** Paths of the fields that the text had twice, from `parseJsonStrict`. */
  duplicates?: readonly string[];
  /** Other strict errors that reading the text found, as whole texts, from `parseYamlStrict`. */
  errors?: readonly string[];
  /** Gives the text of the patch (or of the patched object) that led to the value: errors are then 422 about it. */
  patch?: string | (() => string);
  /** Of a custom resource: drops in place what its schema does not know, and returns the paths of that. */
  prune?: ((object: any) => string[]) | undefined;
}

export interface Decoded<T = any> {
  /** A fresh, mutable object without nulls and unknown fields. */
  object: T;
  /** Paths of the fields that the schema does not know. */
  unknown: string[];
  /** Texts for `Warning:` headers in mode `warn`: `unknown field "spec.foo"`, `duplicate field "spec.x"`. */
  warnings: string[];
}

type JsonObject = Record<string, unknown>;

/** Upstream reports no more strict errors than this. */
const MAX_STRICT_ERRORS = 100;

/** A value that does not fit; the message is the Go decoder's. */
class DecodeError extends Error {}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** Sets a member; `__proto__` is a name like any other. */
function setMember(object: JsonObject, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

/** One run over one value: where it is, and what it found. */
class Decoder {
  readonly unknown: string[] = [];
  /** The path: names of fields, keys of maps, and indexes. */
  #path: (string | number)[] = [];
  /** The part of the path that is names of fields, as type errors tell it. */
  #fields: string[] = [];
  #struct = '';

  object(value: unknown, type: TypeSchema, goType: string): JsonObject {
    if (typeof value !== 'object' || Array.isArray(value)) throw this.#typeError(value, goType);
    const out: JsonObject = {};
    const outer = this.#struct;
    for (const name in value) {
      const member = (value as JsonObject)[name];
      const field = type.fields.get(name);
      if (field === undefined) {
        if (this.unknown.length < MAX_STRICT_ERRORS) this.#unknown(name);
      } else if (member !== null && member !== undefined) {
        this.#struct = type.goName;
        this.#member(out, field, member);
      }
    }
    this.#struct = outer;
    for (const field of type.structs) if (out[field.name] === undefined) out[field.name] = emptyObject(field);
    return out;
  }

  #member(out: JsonObject, field: FieldSchema, member: unknown): void {
    this.#path.push(field.name);
    this.#fields.push(field.name);
    const value = this.value(member, field.value);
    this.#path.pop();
    this.#fields.pop();
    if (field.pointer || field.omit === 'never' || !isEmpty(value, field.value)) out[field.name] = value;
  }

  value(value: unknown, schema: ValueSchema): unknown {
    switch (schema.kind) {
      case 'string':
      case 'duration':
        if (typeof value !== 'string') throw this.#typeError(value, schema.goType);
        return value;
      case 'ref':
        return this.object(value, schema.ref as TypeSchema, schema.goType);
      case 'list':
        return this.#list(value, schema);
      case 'map':
        return this.#map(value, schema);
      case 'boolean':
        if (typeof value !== 'boolean') throw this.#typeError(value, schema.goType);
        return value;
      case 'int32':
        return this.#integer(value, schema.goType, 2 ** 31);
      case 'int64':
        return this.#integer(value, schema.goType, 2 ** 63);
      case 'double':
        if (typeof value !== 'number') throw this.#typeError(value, schema.goType);
        return value;
      case 'quantity':
        return canonicalQuantity(typeof value === 'string' ? value.trim() : this.#text(value));
      case 'intOrString':
        return typeof value === 'string' ? value : this.#integer(value, 'int32', 2 ** 31);
      case 'time':
        return canonicalTime(this.#string(value));
      case 'microTime':
        return canonicalMicroTime(this.#string(value));
      case 'bytes':
        return canonicalBytes(this.#string(value, schema.goType));
      case 'any':
      case 'fieldsV1':
        return deepCopy(value);
      default:
        return this.#schemaOr(value, schema);
    }
  }

  #list(value: unknown, schema: ValueSchema): unknown[] {
    if (!Array.isArray(value)) throw this.#typeError(value, schema.goType);
    const element = schema.element as ValueSchema;
    const out: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      this.#path.push(i);
      const item = value[i];
      out.push(item === null ? zero(element) : this.value(item, element));
      this.#path.pop();
    }
    return out;
  }

  #map(value: unknown, schema: ValueSchema): JsonObject {
    if (typeof value !== 'object' || Array.isArray(value)) throw this.#typeError(value, schema.goType);
    const element = schema.element as ValueSchema;
    const out: JsonObject = {};
    for (const key in value) {
      const member = (value as JsonObject)[key];
      this.#path.push(key);
      setMember(out, key, member === null ? zero(element) : this.value(member, element));
      this.#path.pop();
    }
    return out;
  }

  /** `limit` is the first positive integer that does not fit. */
  #integer(value: unknown, goType: string, limit: number): number {
    if (typeof value !== 'number') throw this.#typeError(value, goType);
    if (!Number.isInteger(value) || value >= limit || value < -limit)
      throw this.#typeError(value, goType, `number ${value}`);
    return value;
  }

  #string(value: unknown, goType = 'string'): string {
    if (typeof value !== 'string') throw this.#typeError(value, goType);
    return value;
  }

  /** What a quantity is parsed from that came as no string. */
  #text(value: unknown): string {
    return typeof value === 'number' ? String(value).replace('e+', 'e') : JSON.stringify(value);
  }

  /** The places of a JSON schema where a schema, a list or a boolean may stand. */
  #schemaOr(value: unknown, schema: ValueSchema): unknown {
    if (schema.kind === 'schemaOrBool' && typeof value === 'boolean') return value;
    const type = schema.ref as TypeSchema;
    if (Array.isArray(value)) {
      if (schema.kind === 'schemaOrStringArray') return value.map((item) => this.#string(item));
      if (schema.kind === 'schemaOrArray') return value.map((item) => this.object(item, type, schema.goType));
    }
    return this.object(value, type, schema.goType);
  }

  #unknown(name: string): void {
    this.unknown.push(pathText([...this.#path, name]));
  }

  #typeError(value: unknown, goType: string, what = jsonType(value)): DecodeError {
    const into =
      this.#fields.length === 0
        ? `Go value of type ${goType}`
        : `Go struct field ${this.#struct}.${this.#fields.join('.')} of type ${goType}`;
    return new DecodeError(`json: cannot unmarshal ${what} into ${into}`);
  }
}

/** `apps/v1.Deployment` as Go prints it: `v1.Deployment`. */
const goName = (type: TypeSchema): string => type.name.slice(type.name.indexOf('/') + 1);

/** `spec.containers[0].ports`, as strict errors name fields. */
export function pathText(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : text === '' ? part : `.${part}`;
  return text;
}

/** A custom resource: its metadata has a schema here, its other fields have not. */
function decodeCustom(decoder: Decoder, value: unknown, kind: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DecodeError(`json: cannot unmarshal ${jsonType(value)} into Go value of type ${kind}`);
  const objectMeta = typeSchema('meta/v1.ObjectMeta') as TypeSchema;
  const metadata: FieldSchema = {
    name: 'metadata',
    required: false,
    pointer: false,
    omit: 'empty',
    value: { kind: 'ref', goType: 'v1.ObjectMeta', ref: objectMeta },
  };
  const { metadata: meta, ...rest } = value as JsonObject;
  const type: TypeSchema = { name: '', goName: '', fields: new Map([['metadata', metadata]]), structs: [] };
  const decoded = meta === undefined ? {} : decoder.object({ metadata: meta }, type, '');
  return { ...decoded, ...deepCopy(rest) };
}

function failure(apiVersion: string, kind: string, options: DecodeOptions, text: string): StatusError {
  if (options.patch !== undefined) {
    const patch = typeof options.patch === 'string' ? options.patch : options.patch();
    const message = `Invalid value: ${JSON.stringify(patch)}: ${text}`;
    return new StatusError(422, 'Invalid', ` "" is invalid: patch: ${message}`, {
      causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }],
    });
  }
  const version = apiVersion.slice(apiVersion.indexOf('/') + 1);
  return badRequest(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: ${text}`);
}

/**
 * Decodes a JSON value as a kind: checks every value's type, brings quantities, times and bytes to their stored
 * form, and drops nulls and unknown fields. A kind without a schema (a custom resource) is copied as it is.
 *
 * Throws StatusError: 400 for a value that doesn't fit and, in mode `strict`, for unknown and duplicate fields;
 * 422 in their place where `patch` is given.
 */
export function decode<T = any>(
  apiVersion: string,
  kind: string,
  value: unknown,
  options: DecodeOptions,
): Decoded<T> {
  const type = typeOfKind(apiVersion, kind);
  const decoder = new Decoder();
  let object: JsonObject;
  try {
    object = type ? decoder.object(value, type, goName(type)) : decodeCustom(decoder, value, kind);
    if (!type && options.prune) decoder.unknown.push(...options.prune(object));
  } catch (error) {
    if (error instanceof DecodeError || error instanceof QuantityError || error instanceof FormatError)
      throw failure(apiVersion, kind, options, error.message);
    throw error;
  }
  const { unknown } = decoder;
  const found = options.mode === 'ignore' ? [] : strictErrors(unknown, options);
  if (found.length > 0 && options.mode === 'strict')
    throw failure(apiVersion, kind, options, `strict decoding error: ${found.join(', ')}`);
  return { object: object as T, unknown, warnings: found };
}

function strictErrors(unknown: readonly string[], { duplicates = [], errors = [] }: DecodeOptions): string[] {
  const all = [
    ...errors,
    ...unknown.map((path) => `unknown field ${JSON.stringify(path)}`),
    ...duplicates
      .filter((path) => !unknown.includes(path))
      .map((path) => `duplicate field ${JSON.stringify(path)}`),
  ];
  return [...new Set(all)].slice(0, MAX_STRICT_ERRORS);
}
