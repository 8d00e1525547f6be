/** Helpers of the resource tests: objects as a client sends them, and what the API makes of them. */
import type { ObjectMeta } from '#types';
import { describe as text } from '../../../../src/api/machinery/field.js';
import { deepCopy, deepFreeze, type KubeObject } from '../../../../src/api/machinery/types.js';
import type { Resource } from '../../../../src/api/resources/define.js';

export const NOW = Date.parse('2026-05-01T12:00:00Z');

/** An RFC 3339 time this many seconds before NOW. */
export const ago = (seconds: number): string =>
  `${new Date(NOW - seconds * 1000).toISOString().slice(0, 19)}Z`;

export function object<T extends KubeObject>(
  resource: Resource<T>,
  fields: Record<string, unknown>,
  metadata: Partial<ObjectMeta> = {},
): T {
  const { apiVersion, kind } = resource;
  const namespace = resource.namespaced ? { namespace: 'default' } : {};
  const meta = { name: 'x', ...namespace, creationTimestamp: ago(90), ...metadata };
  return deepCopy({ apiVersion, kind, metadata: meta, ...fields }) as unknown as T;
}

/** The object with its defaults. */
export function defaulted<T extends KubeObject>(resource: Resource<T>, value: T): T {
  const draft = deepCopy(value);
  resource.defaults?.(draft);
  return draft;
}

/** The object as it would be stored. */
export function created<T extends KubeObject>(resource: Resource<T>, value: T): T {
  const draft = defaulted(resource, value);
  resource.prepareForCreate?.(draft);
  return deepFreeze(draft);
}

/** All errors of creating it, as `field: message`. */
export function createErrors<T extends KubeObject>(resource: Resource<T>, value: T): string[] {
  const draft = created(resource, value);
  return [...(resource.validate?.(draft) ?? []), ...(resource.validateCreate?.(draft) ?? [])].map(text);
}

/** All errors of the change alone, after the update strategy. */
export function updateErrors<T extends KubeObject>(resource: Resource<T>, old: T, value: T): string[] {
  const draft = defaulted(resource, value);
  resource.prepareForUpdate?.(draft, old);
  return (resource.validateUpdate?.(draft, old) ?? []).map(text);
}

/** The cells of a table row by column name. */
export function row<T extends KubeObject>(resource: Resource<T>, value: T): Record<string, unknown> {
  return Object.fromEntries(resource.columns.map((c) => [c.name, c.cell(value, NOW)]));
}
