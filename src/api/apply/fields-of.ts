/** The fields that a configuration sets: what its applier will own. */
import { type Draft, type FieldSet, LEAF, withSelf } from './field-set.js';
import { itemsByElement } from './list-items.js';
import { fieldElement } from './path-element.js';
import { deduce, isMap, type JsonObject, memberShape, type Shape } from './shape.js';

/**
 * The set of all leaves, list items and map keys of a value. Structs are no members themselves, unless they are
 * empty. Items that occur more than once are owned as a whole.
 */
export function fieldsOf(shape: Shape, value: unknown): FieldSet {
  const set = membersOf(shape, value);
  return set === undefined || set === LEAF ? LEAF : set;
}

/** LEAF where the value is owned as a whole; undefined where nothing is owned. */
function membersOf(shape: Shape, value: unknown): FieldSet | undefined {
  const deduced = deduce(shape, value);
  switch (deduced.form) {
    case 'untracked':
      return undefined;
    case 'list':
      if (deduced.atomic) return LEAF;
      return Array.isArray(value) ? itemsOf(deduced, value) : undefined;
    case 'struct':
    case 'map':
      if (deduced.atomic) return LEAF;
      return isMap(value) ? mapMembers(deduced, value) : undefined;
    default:
      return LEAF;
  }
}

function itemsOf(
  list: Extract<Shape, { form: 'list'; atomic: false }>,
  items: unknown[],
): FieldSet | undefined {
  const out: Draft = {};
  for (const [element, same] of itemsByElement(list, items)) {
    const members = same.length > 1 ? LEAF : membersOf(list.item, same[0]);
    out[element] = members === undefined || members === LEAF ? LEAF : withSelf(members);
  }
  return items.length === 0 ? undefined : out;
}

function mapMembers(shape: Shape, value: JsonObject): FieldSet | undefined {
  let out: Draft | undefined;
  for (const key in value) {
    const member = memberShape(shape, key);
    if (member === undefined || member.form === 'untracked') continue;
    const inner = value[key];
    const members = membersOf(member, inner);
    const self = !isMetadata(member) && (inner === null || isEmptyMap(inner) || shape.form !== 'struct');
    const set = self ? (members === undefined || members === LEAF ? LEAF : withSelf(members)) : members;
    if (set === undefined) continue;
    out ??= {};
    out[fieldElement(key)] = set;
  }
  return out;
}

/** Every object has metadata: nobody owns them as such. */
const isMetadata = (shape: Shape): boolean => shape.form === 'struct' && shape.role === 'metadata';

function isEmptyMap(value: unknown): boolean {
  if (!isMap(value)) return false;
  for (const _ in value) return false;
  return true;
}
