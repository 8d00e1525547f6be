/** Structural schemas of custom resources, and how to walk values by them. */
import type { JSONSchemaProps } from '#types';

export type Schema = JSONSchemaProps;
export type Json = Record<string, any>;

export const PRESERVE = 'x-kubernetes-preserve-unknown-fields';
export const EMBEDDED = 'x-kubernetes-embedded-resource';
export const INT_OR_STRING = 'x-kubernetes-int-or-string';
export const LIST_TYPE = 'x-kubernetes-list-type';
export const LIST_MAP_KEYS = 'x-kubernetes-list-map-keys';
export const MAP_TYPE = 'x-kubernetes-map-type';
export const VALIDATIONS = 'x-kubernetes-validations';

/** What every object has whatever its schema says. */
export const TYPE_META: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

export const isMap = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The schema of a list's items. */
export const itemsOf = ({ items }: Schema): Schema | undefined => (Array.isArray(items) ? undefined : items);

/** The schema of a map's values; undefined where anything goes or nothing. */
export const valuesOf = ({ additionalProperties }: Schema): Schema | undefined =>
  typeof additionalProperties === 'object' ? additionalProperties : undefined;

/** The schema of a member: of a declared property, or of a map's values. */
export function memberOf(schema: Schema, name: string): Schema | undefined {
  const { properties } = schema;
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name];
  return valuesOf(schema);
}

/** Sets a member; `__proto__` is a name like any other. */
export function setMember(object: Json, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

/** `spec.list[0]`; the root is ''. */
export const childPath = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

/** Whether two JSON values are the same to the last member; the order of keys does not matter. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]));
  if (!isMap(a) || !isMap(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key], b[key]))
  );
}
