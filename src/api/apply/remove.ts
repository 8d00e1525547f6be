/** Takes fields and items out of an object, and tells which to take out when an applier gives them up. */
import {
  child,
  type Draft,
  difference,
  type FieldSet,
  hasElement,
  hasWithin,
  intersection,
  isEmptySet,
  union,
  withSelf,
} from './field-set.js';
import { fieldsOf } from './fields-of.js';
import { elementShape, itemElement } from './list-items.js';
import { fieldElement } from './path-element.js';
import { deduce, isField, isMap, type JsonObject, memberShape, type Shape } from './shape.js';

/** The value without the items of the set; null for a list or map that nothing is left of. */
export function removeItems(shape: Shape, value: unknown, items: FieldSet): unknown {
  const deduced = deduce(shape, value);
  switch (deduced.form) {
    case 'list':
      return Array.isArray(value) && !deduced.atomic ? removeFromList(deduced, value, items) : null;
    case 'struct':
    case 'map':
      return isMap(value) && !deduced.atomic ? removeFromMap(deduced, value, items) : null;
    default:
      return value;
  }
}

function removeFromList(
  list: Extract<Shape, { form: 'list'; atomic: false }>,
  values: readonly unknown[],
  items: FieldSet,
): unknown {
  const out: unknown[] = [];
  for (const value of values) {
    const element = itemElement(list, value);
    if (hasElement(items, element)) continue;
    out.push(
      hasWithin(items, element) ? removeItems(list.item, value, child(items, element) as FieldSet) : value,
    );
  }
  return out.length > 0 ? out : null;
}

function removeFromMap(shape: Shape, value: JsonObject, items: FieldSet): unknown {
  const out: JsonObject = {};
  let any = false;
  for (const key in value) {
    const element = fieldElement(key);
    if (hasElement(items, element)) continue;
    const member = memberShape(shape, key) ?? { form: 'untyped' };
    out[key] = hasWithin(items, element)
      ? removeItems(member, value[key], child(items, element) as FieldSet)
      : value[key];
    any = true;
  }
  return any ? out : null;
}

/** The set with the fields of structs as members, where something within them is. */
export function withNamedFields(set: FieldSet, shape: Shape | undefined): FieldSet {
  let out: Draft | undefined;
  for (const element in set) {
    if (element === '.') continue;
    const inner = set[element] as FieldSet;
    if (isEmptySet(inner)) continue;
    const innerShape = shape === undefined ? undefined : elementShape(shape, element);
    let next = withNamedFields(inner, innerShape);
    const named = shape !== undefined && element.startsWith('f:') && isField(shape, element.slice(2));
    if (named && !('.' in next)) next = withSelf(next);
    if (next === inner) continue;
    out ??= { ...set };
    out[element] = next;
  }
  return out ?? set;
}

/**
 * Takes out of a merged object what its applier applied the last time (`last`), applies no more, and nobody else
 * owns (`owned`: the fields of all managers now).
 */
export function prune(shape: Shape, merged: JsonObject, last: FieldSet, owned: FieldSet): JsonObject {
  if (isEmptySet(last)) return merged;
  const named = (set: FieldSet) => withNamedFields(set, shape);
  const lastNamed = named(last);
  const all = named(fieldsOf(shape, merged));
  const without = (items: FieldSet) => (removeItems(shape, merged, items) ?? {}) as JsonObject;
  const bare = without(lastNamed);
  const kept = union(named(fieldsOf(shape, bare)), named(owned));
  const pruned = without(difference(all, kept));
  const dangling = difference(all, named(fieldsOf(shape, pruned)));
  return without(intersection(dangling, lastNamed));
}
