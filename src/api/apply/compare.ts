/** What changes between two versions of an object, as sets of fields. */
import { type Draft, type FieldSet, LEAF } from './field-set.js';
import { itemsByElement } from './list-items.js';
import { fieldElement } from './path-element.js';
import { deduce, isBlank, isMap, type JsonObject, memberShape, type Shape } from './shape.js';

export interface Comparison {
  removed: FieldSet;
  modified: FieldSet;
  added: FieldSet;
}

/** The three parts at one node; undefined where there is nothing. */
interface Parts {
  removed?: FieldSet | undefined;
  modified?: FieldSet | undefined;
  added?: FieldSet | undefined;
}
type Part = keyof Parts;

const MODIFIED: Parts = Object.freeze({ modified: LEAF });

/**
 * Compares field by field. What comes or goes is in the set with all that it holds; `skip` are elements of the
 * top level that are not compared.
 */
export function compare(
  shape: Shape,
  before: JsonObject,
  after: JsonObject,
  skip?: ReadonlySet<string>,
): Comparison {
  const parts = compareMembers(shape, before, after, skip);
  return {
    removed: parts?.removed ?? LEAF,
    modified: parts?.modified ?? LEAF,
    added: parts?.added ?? LEAF,
  };
}

function compareValues(shape: Shape, before: unknown, after: unknown): Parts | undefined {
  if (before === after || shape.form === 'untracked') return undefined;
  const left = deduce(shape, before);
  const right = deduce(shape, after);
  if (left.form !== right.form && before !== null && after !== null)
    return { removed: within(wholeOf(left, before)), modified: LEAF };
  const deduced = before === null ? right : left;
  if (isWhole(deduced) || (isBlank(before) && isBlank(after)))
    return equal(before, after) ? undefined : MODIFIED;
  if (deduced.form === 'list')
    return compareItems(deduced as KeyedList, (before ?? []) as unknown[], (after ?? []) as unknown[]);
  return compareMembers(deduced, (before ?? {}) as JsonObject, (after ?? {}) as JsonObject);
}

/** Whether values are equal to the last `{}`; the order of keys does not matter. */
function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (!isMap(a) || !isMap(b)) return false;
  let count = 0;
  for (const key in a) {
    if (!Object.hasOwn(b, key) || !equal(a[key], b[key])) return false;
    count++;
  }
  for (const _ in b) count--;
  return count === 0;
}

const isWhole = (shape: Shape): boolean =>
  shape.form === 'scalar' || shape.form === 'untyped' || ('atomic' in shape && shape.atomic);

type KeyedList = Extract<Shape, { form: 'list'; atomic: false }>;

function compareMembers(
  shape: Shape,
  before: JsonObject,
  after: JsonObject,
  skip?: ReadonlySet<string>,
): Parts | undefined {
  let out: Parts | undefined;
  for (const key in after) {
    if (skip?.has(key)) continue;
    const [left, right] = [Object.hasOwn(before, key) ? before[key] : undefined, after[key]];
    if (left === right || right === undefined) continue;
    const member = memberShape(shape, key);
    if (member === undefined || member.form === 'untracked') continue;
    if (left === undefined) out = put(out, 'added', fieldElement(key), wholeOf(member, right));
    else out = putAll(out, fieldElement(key), compareValues(member, left, right));
  }
  for (const key in before) {
    if (before[key] === undefined || skip?.has(key)) continue;
    if (Object.hasOwn(after, key) && after[key] !== undefined) continue;
    const member = memberShape(shape, key);
    if (member === undefined || member.form === 'untracked') continue;
    out = put(out, 'removed', fieldElement(key), wholeOf(member, before[key]));
  }
  return out;
}

function compareItems(list: KeyedList, before: unknown[], after: unknown[]): Parts | undefined {
  const lefts = itemsByElement(list, before);
  const rights = itemsByElement(list, after);
  let out: Parts | undefined;
  for (const [element, left] of lefts) out = compareSame(out, list, element, left, rights.get(element) ?? []);
  for (const [element, right] of rights)
    if (!lefts.has(element)) out = compareSame(out, list, element, [], right);
  return out;
}

/** Items of one key: several of them are owned as a whole. */
function compareSame(
  out: Parts | undefined,
  list: KeyedList,
  element: string,
  left: unknown[],
  right: unknown[],
): Parts | undefined {
  const { item } = list;
  if (left.length > 1 && right.length > 1)
    return equal(left, right) ? out : put(out, 'modified', element, LEAF);
  if (left.length > 1) {
    const added = right.length === 0 ? out : put(out, 'added', element, wholeOf(item, right[0]));
    return put(added, 'removed', element, LEAF);
  }
  if (right.length > 1) {
    const removed = left.length === 0 ? out : put(out, 'removed', element, wholeOf(item, left[0]));
    return put(removed, 'added', element, LEAF);
  }
  if (left.length === 0) return put(out, 'added', element, wholeOf(item, right[0]));
  if (right.length === 0) return put(out, 'removed', element, wholeOf(item, left[0]));
  return putAll(out, element, compareValues(item, left[0], right[0]));
}

function put(out: Parts | undefined, part: Part, element: string, set: FieldSet): Parts {
  const parts = out ?? {};
  parts[part] ??= {};
  (parts[part] as Draft)[element] = set;
  return parts;
}

function putAll(out: Parts | undefined, element: string, parts: Parts | undefined): Parts | undefined {
  let result = out;
  if (parts?.removed) result = put(result, 'removed', element, parts.removed);
  if (parts?.modified) result = put(result, 'modified', element, parts.modified);
  if (parts?.added) result = put(result, 'added', element, parts.added);
  return result;
}

/** What is within a node, without the node. */
function within(set: FieldSet): FieldSet | undefined {
  const { '.': _, ...children } = set;
  for (const _element in children) return children;
  return undefined;
}

/** A value that comes or goes as a whole: itself, and all that is in it. */
export function wholeOf(shape: Shape, value: unknown): FieldSet {
  const deduced = deduce(shape, value);
  if (isWhole(deduced) || isBlank(value)) return LEAF;
  let out: Draft | undefined;
  if (deduced.form === 'list') {
    for (const [element, items] of itemsByElement(deduced as KeyedList, value as unknown[])) {
      out ??= { '.': LEAF };
      out[element] = items.length > 1 ? LEAF : wholeOf(deduced.item, items[0]);
    }
  } else if (isMap(value)) {
    for (const key in value) {
      const member = memberShape(deduced, key);
      if (member === undefined || member.form === 'untracked') continue;
      out ??= { '.': LEAF };
      out[fieldElement(key)] = wholeOf(member, value[key]);
    }
  }
  return out ?? LEAF;
}
