/** Path elements as FieldsV1 writes them: `f:spec`, `k:{"name":"web"}`, `v:"a"`, `i:0`; sets are keyed by them. */

/** JSON as Go writes it: `<`, `>` and `&` are escaped. */
export function goJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!/[<>&\u2028\u2029]/.test(text)) return text;
  return text.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Elements are the keys of sets: making one anew each time would cost more than all the rest. */
const fieldElements = new Map<string, string>();
const MAX_CACHED = 10_000;

/** A field of an object, or a key of a map. */
export function fieldElement(name: string): string {
  let element = fieldElements.get(name);
  if (element === undefined) {
    element = `f:${name}`;
    if (fieldElements.size >= MAX_CACHED) fieldElements.clear();
    fieldElements.set(name, element);
  }
  return element;
}

/** An item of a set. */
export const valueElement = (value: unknown): string => `v:${goJson(value)}`;

/** An item of a list that is keyed by some of its fields. `keys` are sorted by name. */
export function keyElement(keys: readonly (readonly [name: string, value: unknown])[]): string {
  return `k:{${keys.map(([name, value]) => `${goJson(name)}:${goJson(value)}`).join(',')}}`;
}

const scalarText = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value) : String(value);

/** As messages name it: `.spec`, `[name="web"]`, `[="a"]`, `[0]`. */
export function elementText(element: string): string {
  const content = element.slice(2);
  switch (element[0]) {
    case 'f':
      return `.${content}`;
    case 'k':
      return `[${keysOf(element)
        .map(([name, value]) => `${name}=${scalarText(value)}`)
        .join(',')}]`;
    case 'v':
      return `[=${scalarText(JSON.parse(content))}]`;
    default:
      return `[${content}]`;
  }
}

/** `.spec.containers[name="web"].image` */
export const pathText = (path: readonly string[]): string => path.map(elementText).join('');

function keysOf(element: string): [string, unknown][] {
  return Object.entries(JSON.parse(element.slice(2)) as Record<string, unknown>);
}

/** Whether this is an element of FieldsV1 that can be read. */
export function isElement(text: string): boolean {
  if (text[1] !== ':') return false;
  try {
    switch (text[0]) {
      case 'f':
        return true;
      case 'k': {
        const keys = JSON.parse(text.slice(2));
        return typeof keys === 'object' && keys !== null && !Array.isArray(keys);
      }
      case 'v':
        JSON.parse(text.slice(2));
        return true;
      case 'i':
        return /^-?\d+$/.test(text.slice(2));
      default:
        return false;
    }
  } catch {
    return false;
  }
}

const RANK: Record<string, number> = { '.': 0, f: 1, k: 2, v: 3, i: 4 };

/** Upstream's order: fields, keys, values, indexes; numbers by size, texts by their characters. */
export function compareElements(a: string, b: string): number {
  const kind = a[0] as string;
  if (kind === 'f' && b[0] === 'f') return a < b ? -1 : a > b ? 1 : 0;
  if (kind !== b[0]) return (RANK[kind] ?? 5) - (RANK[b[0] as string] ?? 5);
  if (!(/[:i]-?\d/.test(a) || /[:i]-?\d/.test(b))) return a < b ? -1 : a > b ? 1 : 0;
  if (kind !== 'k') return compareScalars(JSON.parse(a.slice(2)), JSON.parse(b.slice(2)));
  const [left, right] = [keysOf(a), keysOf(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [name, value] = left[i] as [string, unknown];
    const [otherName, other] = right[i] as [string, unknown];
    const order = compareScalars(name, otherName) || compareScalars(value, other);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function compareScalars(a: any, b: any): number {
  if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
