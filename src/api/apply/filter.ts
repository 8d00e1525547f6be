/** Which fields a write can own: those that its (sub)resource keeps from the stored object belong to nobody here. */
import { child, type Draft, type FieldSet, isEmptySet, LEAF, recursiveDifference } from './field-set.js';

/** `exclude`: all but these and what is within them. `include`: only what is within these; `*` is any element. */
export type FieldFilter = { exclude: FieldSet } | { include: FieldSet };

export function filterFields(set: FieldSet, filter: FieldFilter | undefined): FieldSet {
  if (filter === undefined || isEmptySet(set)) return set;
  if ('exclude' in filter) return recursiveDifference(set, filter.exclude);
  return matching(set, filter.include) ?? LEAF;
}

function matching(set: FieldSet, pattern: FieldSet): FieldSet | undefined {
  let out: Draft | undefined;
  for (const element in set) {
    if (element === '.') continue;
    const inner = child(pattern, element) ?? child(pattern, '*');
    if (inner === undefined) continue;
    const node = set[element] as FieldSet;
    const kept = isEmptySet(inner) ? node : matchingNode(node, inner);
    if (kept === undefined) continue;
    out ??= {};
    out[element] = kept;
  }
  return out;
}

function matchingNode(node: FieldSet, pattern: FieldSet): FieldSet | undefined {
  if (isEmptySet(node)) return node;
  const children = matching(node, pattern);
  if ('.' in node) return children === undefined ? LEAF : { '.': LEAF, ...children };
  return children;
}

const excluded = new WeakMap<FieldFilter, ReadonlySet<string>>();

/** The names of the fields of the top level that are excluded as a whole. */
export function excludedFields(filter: FieldFilter | undefined): ReadonlySet<string> | undefined {
  if (filter === undefined || !('exclude' in filter)) return undefined;
  const known = excluded.get(filter);
  if (known !== undefined) return known;
  const names = Object.keys(filter.exclude)
    .filter((element) => isEmptySet(filter.exclude[element] as FieldSet))
    .map((element) => element.slice(2));
  const set = new Set(names);
  excluded.set(filter, set);
  return set;
}
