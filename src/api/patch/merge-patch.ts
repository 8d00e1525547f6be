/** JSON merge patch (RFC 7386). */
import { deepCopy } from '../machinery/types.js';
import { malformed } from './errors.js';

type JsonObject = Record<string, unknown>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value of a patch without its nulls, which say "absent". */
function withoutNulls(value: unknown): unknown {
  if (!isObject(value)) return deepCopy(value);
  const kept = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(kept.map(([name, member]) => [name, withoutNulls(member)]));
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return deepCopy(patch);
  if (!isObject(target)) return withoutNulls(patch);
  const members = new Map(Object.entries(target));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) members.delete(name);
    else members.set(name, merge(members.get(name), value));
  }
  return Object.fromEntries(members);
}

/** Merges `patch` into a copy of `doc`: null removes, objects merge, all else replaces. Throws StatusError 400. */
export function applyMergePatch<T = any>(doc: unknown, patch: unknown): T {
  if (!isObject(patch)) throw malformed('Invalid JSON Patch');
  return merge(doc, patch) as T;
}
