/** Sets of fields as JSON: read and checked, and brought into the order in which they are written. */
import { type Draft, type FieldSet, isEmptySet, LEAF, SELF } from './field-set.js';
import { compareElements, isElement } from './path-element.js';

/** Sets that are known to be in order. */
const ordered = new WeakSet<FieldSet>([LEAF]);

/** The same set with its elements in upstream's order. */
export function inOrder(set: FieldSet): FieldSet {
  if (ordered.has(set)) return set;
  const result = sortedNode(set);
  ordered.add(result);
  return result;
}

function sortedNode(set: FieldSet): FieldSet {
  const elements = Object.keys(set);
  let same = isInOrder(elements);
  if (!same) elements.sort(compareElements);
  const out: Draft = {};
  for (const element of elements) {
    const inner = set[element] as FieldSet;
    const next = inner === LEAF ? inner : sortedNode(inner);
    same &&= next === inner;
    out[element] = next;
  }
  return same ? set : out;
}

function isInOrder(elements: readonly string[]): boolean {
  for (let i = 1; i < elements.length; i++)
    if (compareElements(elements[i - 1] as string, elements[i] as string) > 0) return false;
  return true;
}

/** Sets are shared by the versions of an object, and checked once. */
const checked = new WeakSet<object>();

/** Reads FieldsV1: elements of kinds that are not known are dropped. Undefined for what is no FieldsV1. */
export function parseFields(value: unknown): FieldSet | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  if (checked.has(value) || ordered.has(value as FieldSet)) return value as FieldSet;
  if (isWellFormed(value as FieldSet)) {
    checked.add(value);
    return value as FieldSet;
  }
  const out: Draft = {};
  for (const [element, inner] of Object.entries(value)) {
    if (element !== SELF && !/^[fkvi]:/.test(element)) {
      if (element[1] !== ':') return undefined;
      continue;
    }
    if (element !== SELF && !isElement(element)) return undefined;
    const parsed = element === SELF ? LEAF : parseFields(inner);
    if (parsed === undefined) return undefined;
    out[element] = parsed;
  }
  return out;
}

function isWellFormed(set: FieldSet): boolean {
  if (typeof set !== 'object' || set === null || Array.isArray(set)) return false;
  for (const element in set) {
    const inner = set[element] as FieldSet;
    if (element === SELF) {
      if (typeof inner !== 'object' || inner === null || !isEmptySet(inner)) return false;
    } else if (!isElement(element) || !isWellFormed(inner)) return false;
  }
  return true;
}
