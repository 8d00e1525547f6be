/** How the items of a list are told apart. */
import { keyElement, valueElement } from './path-element.js';
import { isMap, memberShape, type Shape } from './shape.js';

type KeyedList = Extract<Shape, { form: 'list'; atomic: false }>;

/** An item that can't be told apart from others; the message is upstream's. */
export class ItemError extends Error {}

/** The path element of an item. Throws ItemError. */
export function itemElement(list: KeyedList, item: unknown): string {
  if (list.keys !== undefined) return keyedElement(list, list.keys, item);
  if (Array.isArray(item)) throw new ItemError('not supported: associative list with lists as elements');
  if (item === null)
    throw new ItemError("associative list without keys has an element that's an explicit null");
  if (typeof item === 'object')
    throw new ItemError("associative list without keys has an element that's a map type");
  return valueElement(item);
}

/** The elements of lists with one key, by its value. */
const known = new WeakMap<KeyedList, Map<unknown, string>>();
const MAX_CACHED = 1000;

function keyedElement(list: KeyedList, keys: readonly string[], item: unknown): string {
  const [key] = keys;
  if (keys.length !== 1 || key === undefined || !isMap(item) || typeof item[key] !== 'string')
    return newElement(list, keys, item);
  let elements = known.get(list);
  if (elements === undefined || elements.size >= MAX_CACHED) {
    elements = new Map();
    known.set(list, elements);
  }
  let element = elements.get(item[key]);
  if (element === undefined) {
    element = keyElement([[key, item[key]]]);
    elements.set(item[key], element);
  }
  return element;
}

function newElement(list: KeyedList, keys: readonly string[], item: unknown): string {
  if (item === null) throw new ItemError('associative list with keys may not have a null element');
  if (!isMap(item)) throw new ItemError('associative list with keys may not have non-map elements');
  const given: [string, unknown][] = [];
  for (const key of keys) {
    const value = Object.hasOwn(item, key) ? item[key] : defaultOf(list.item, key);
    if (value !== undefined) given.push([key, value]);
  }
  if (given.length === 0) {
    const names = keys.map((key) => JSON.stringify(key)).join(' ');
    throw new ItemError(
      `associative list with keys has an element that omits all key fields [${names}] (and doesn't have default values for any key fields)`,
    );
  }
  return keyElement(given);
}

function defaultOf(item: Shape, key: string): unknown {
  if (item.form !== 'struct') return undefined;
  return item.type.fields.get(key)?.default;
}

/** The items of a list by their path elements; those that occur more than once are all there. */
export function itemsByElement(list: KeyedList, items: readonly unknown[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const item of items) {
    const element = itemElement(list, item);
    const same = found.get(element);
    if (same) same.push(item);
    else found.set(element, [item]);
  }
  return found;
}

/** The shape of a member or item that a path element leads to. */
export function elementShape(shape: Shape, element: string): Shape | undefined {
  if (element.startsWith('f:'))
    return shape.form === 'list' || shape.form === 'scalar'
      ? undefined
      : memberShape(shape, element.slice(2));
  return element.startsWith('k:') && shape.form === 'list' ? shape.item : undefined;
}
