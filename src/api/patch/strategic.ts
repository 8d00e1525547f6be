/**
 * Strategic merge patch: lists merge by a key that the schema names, and directives in the patch say what to
 * delete, replace, keep and how to order (apimachinery `strategicpatch`, sig-api-machinery/strategic-merge-patch).
 */
import { StatusError } from '../machinery/status.js';
import { deepCopy } from '../machinery/types.js';
import type { TypeSchema, ValueSchema } from '../schema/types.js';
import { followsOrder, identityBy, orderElements } from './element-order.js';
import { malformed, unprocessable } from './errors.js';
import { goText } from './go-text.js';

type JsonObject = Record<string, unknown>;

const PATCH = '$patch';
const RETAIN_KEYS = '$retainKeys';
const DELETE_FROM = '$deleteFromPrimitiveList/';
const ELEMENT_ORDER = '$setElementOrder/';

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Errors that upstream has no status for: they come out as 500 with their text. */
const failure = (message: string): StatusError => new StatusError(500, '', message);

const badPatchType = (type: unknown, where: unknown): StatusError =>
  failure(`unknown patch type: ${goText(type)} in map: ${goText(where)}`);

const noMergeKey = (element: unknown, key: string): StatusError =>
  failure(`map: ${goText(element)} does not contain declared merge key: ${key}`);

/** How a field merges. */
interface Rule {
  schema?: ValueSchema;
  /** Lists replace unless they say `merge`; objects merge unless they say `replace`. */
  strategy: '' | 'merge' | 'replace';
  mergeKey?: string;
}

function ruleOf(schema: ValueSchema | undefined, name: string): Rule {
  if (schema?.kind === 'map') return { schema: schema.element as ValueSchema, strategy: '' };
  const field = schema?.ref?.fields.get(name);
  if (!field) return { strategy: '' };
  const strategies = field.patchStrategy?.split(',') ?? [];
  const strategy = strategies.includes('merge') ? 'merge' : strategies.includes('replace') ? 'replace' : '';
  return {
    schema: field.value,
    strategy,
    ...(field.patchMergeKey === undefined ? {} : { mergeKey: field.patchMergeKey }),
  };
}

/** A value of the patch that has nothing to merge with: without nulls and directives. */
function fresh(value: unknown): unknown {
  if (Array.isArray(value))
    return value.filter((item) => !isObject(item) || item[PATCH] === undefined).map(fresh);
  if (!isObject(value)) return value;
  if (value[PATCH] === 'delete') return {};
  const kept = Object.entries(value).filter(([name, member]) => member !== null && !isDirective(name));
  return Object.fromEntries(kept.map(([name, member]) => [name, fresh(member)]));
}

const isDirective = (name: string): boolean =>
  name === PATCH || name === RETAIN_KEYS || name.startsWith(DELETE_FROM) || name.startsWith(ELEMENT_ORDER);

/** Merges `patch` into `original`, which may be changed and becomes the result. */
function mergeObject(original: JsonObject, patch: JsonObject, schema: ValueSchema | undefined): JsonObject {
  const directive = patch[PATCH];
  if (directive === 'replace') {
    const { [PATCH]: _, ...rest } = patch;
    return deepCopy(rest);
  }
  if (directive === 'delete') return {};
  if (directive !== undefined) throw badPatchType(directive, patch);
  const merged = new Map(Object.entries(original));
  if (patch[RETAIN_KEYS] !== undefined) retainKeys(merged, patch);
  const done = applyElementOrders(merged, patch, schema);
  for (const [name, value] of Object.entries(patch)) {
    if (name === RETAIN_KEYS || name.startsWith(ELEMENT_ORDER) || done.has(name)) continue;
    if (name.startsWith(DELETE_FROM)) deleteFrom(merged, name.slice(DELETE_FROM.length), value);
    else if (value === null) merged.delete(name);
    else merged.set(name, mergeValue(merged.get(name), value, ruleOf(schema, name)));
  }
  return Object.fromEntries(merged);
}

function mergeValue(original: unknown, patch: unknown, rule: Rule): unknown {
  if (isObject(original) && isObject(patch))
    return rule.strategy === 'replace' ? fresh(patch) : mergeObject(original, patch, rule.schema);
  if (Array.isArray(original) && Array.isArray(patch))
    return rule.strategy === 'merge' ? mergeList(original, patch, rule) : deepCopy(patch);
  return fresh(patch);
}

/** `$retainKeys`: what it does not name goes; and the patch may set only what it names. */
function retainKeys(merged: Map<string, unknown>, patch: JsonObject): void {
  const list = patch[RETAIN_KEYS];
  const wrong = malformed('invalid patch format of retainKeys');
  if (!Array.isArray(list)) throw wrong;
  const keep = new Set(list);
  for (const name in patch) if (patch[name] !== null && !isDirective(name) && !keep.has(name)) throw wrong;
  for (const name of [...merged.keys()]) if (!keep.has(name)) merged.delete(name);
}

/** `$deleteFromPrimitiveList/<field>`. */
function deleteFrom(merged: Map<string, unknown>, name: string, values: unknown): void {
  const list = merged.get(name);
  if (!Array.isArray(values)) throw malformed('invalid patch format of primitive list');
  if (Array.isArray(list))
    merged.set(
      name,
      list.filter((item) => !values.includes(item)),
    );
}

/** `$setElementOrder/<field>`, together with the patch's list of that field. Returns the fields it dealt with. */
function applyElementOrders(
  merged: Map<string, unknown>,
  patch: JsonObject,
  schema: ValueSchema | undefined,
): Set<string> {
  const done = new Set<string>();
  for (const directive in patch) {
    if (!directive.startsWith(ELEMENT_ORDER)) continue;
    const name = directive.slice(ELEMENT_ORDER.length);
    const order = patch[directive];
    const server = merged.get(name) ?? [];
    const change = patch[name] ?? [];
    if (!Array.isArray(order) || !Array.isArray(server) || !Array.isArray(change))
      throw malformed('invalid patch format of setElementOrder list');
    if (!merged.has(name) && (patch[name] === undefined || patch[name] === null)) continue;
    if (patch[name] === null) continue;
    done.add(name);
    merged.set(name, orderedList(server, change, order, ruleOf(schema, name)));
  }
  return done;
}

function orderedList(server: unknown[], change: unknown[], order: unknown[], rule: Rule): unknown[] {
  const identity = identityBy(rule.mergeKey);
  const named = change.filter((item) => !isObject(item) || item[PATCH] === undefined);
  if (!followsOrder(named, order, identity))
    throw failure(
      `The order in patch list:\n${goText(change)}\n doesn't match ${ELEMENT_ORDER.slice(0, -1)} list:\n${goText(order)}\n`,
    );
  const list = change.length === 0 ? server : (mergeValue(server, change, rule) as unknown[]);
  return orderElements(list, order, server, identity);
}

function mergeList(original: unknown[], patch: unknown[], rule: Rule): unknown[] {
  const all = [...original, ...patch];
  if (all.some(Array.isArray)) throw unprocessable('lists of lists are not supported');
  const objects = all.filter(isObject).length;
  if (objects === 0) return orderElements([...new Set(all)], patch, original, identityBy(undefined));
  if (objects < all.length) throw failure('list element types are not identical');
  if (rule.mergeKey === undefined)
    throw failure(`cannot merge lists without merge key for ${rule.schema?.element?.goType ?? 'list'}`);
  return mergeObjects(original as JsonObject[], patch as JsonObject[], rule.mergeKey, rule.schema?.element);
}

function mergeObjects(
  original: JsonObject[],
  patch: JsonObject[],
  key: string,
  element: ValueSchema | undefined,
): JsonObject[] {
  const { kept, changes, replace } = applyDirectives(original, patch, key);
  if (replace) return deepCopy(changes);
  const merged = [...kept];
  for (const change of changes) {
    if (!Object.hasOwn(change, key)) throw noMergeKey(change, key);
    const at = merged.findIndex((item) => item[key] === change[key]);
    if (at >= 0) merged[at] = mergeObject(merged[at] as JsonObject, change, element);
    else merged.push(fresh(change) as JsonObject);
  }
  return orderElements(merged, changes, kept, identityBy(key)) as JsonObject[];
}

/** Takes the elements with `$patch` out of the patch and does what they say. */
function applyDirectives(original: JsonObject[], patch: JsonObject[], key: string) {
  let kept = original;
  let replace = false;
  const changes: JsonObject[] = [];
  for (const element of patch) {
    switch (element[PATCH]) {
      case undefined:
        changes.push(element);
        break;
      case 'delete':
        if (!Object.hasOwn(element, key)) throw noMergeKey(element, key);
        kept = kept.filter((item) => item[key] !== element[key]);
        break;
      case 'replace':
        replace = true;
        break;
      case 'merge':
        throw failure('merging lists cannot yet be specified in the patch');
      default:
        throw badPatchType(element[PATCH], element);
    }
  }
  return { kept, changes, replace };
}

/**
 * Merges `patch` into a copy of `doc`, an object of `type`. Throws StatusError: 400 for a malformed patch, 422 or
 * 500 (as upstream) for one that can't be applied.
 */
export function applyStrategicMergePatch<T = any>(doc: unknown, patch: unknown, type: TypeSchema): T {
  if (!isObject(patch)) throw malformed('invalid JSON document');
  const schema: ValueSchema = { kind: 'ref', goType: type.goName, ref: type };
  return mergeObject(deepCopy(doc) as JsonObject, patch, schema) as T;
}
