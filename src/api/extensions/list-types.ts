/** Lists that are sets or maps have no item twice (upstream `listtype.ValidateListSetsAndMaps`). */
import { duplicate, type FieldError, invalid, key } from '../machinery/field.js';
import {
  childPath,
  equalJson,
  isMap,
  itemsOf,
  LIST_MAP_KEYS,
  LIST_TYPE,
  memberOf,
  type Schema,
} from './schema.js';

/** `old`: what was there before; what is the same may stay as it is. */
export function listTypeErrors(
  value: unknown,
  schema: Schema,
  path = '',
  old?: unknown,
  root = true,
): FieldError[] {
  if (isMap(value)) {
    const errors: FieldError[] = [];
    for (const name in value) {
      if (root && name === 'metadata') continue;
      const member = memberOf(schema, name);
      if (member === undefined) continue;
      const before = isMap(old) ? old[name] : undefined;
      const at = member === schema.properties?.[name] ? childPath(path, name) : key(path, name);
      errors.push(...listTypeErrors(value[name], member, at, before, false));
    }
    return errors;
  }
  if (!Array.isArray(value)) return [];
  const items = itemsOf(schema);
  const own = old !== undefined && equalJson(value, old) ? [] : ownErrors(value, schema, path);
  if (items === undefined) return own;
  return [
    ...own,
    ...value.flatMap((item, i) => listTypeErrors(item, items, `${path}[${i}]`, undefined, false)),
  ];
}

function ownErrors(list: unknown[], schema: Schema, path: string): FieldError[] {
  if (schema[LIST_TYPE] === 'set') return repeated(list, path, (item) => item);
  if (schema[LIST_TYPE] !== 'map') return [];
  const keys: string[] = [...((schema[LIST_MAP_KEYS] as string[] | undefined) ?? [])];
  const odd = list.findIndex((item) => item !== null && !isMap(item));
  if (odd >= 0)
    return [invalid(`${path}[${odd}]`, list[odd], 'must be an object for an array of list-type map')];
  return repeated(list, path, (item) =>
    Object.fromEntries(
      keys
        .filter((key) => (item as Record<string, unknown> | null)?.[key] !== undefined)
        .sort()
        .map((key) => [key, (item as Record<string, unknown>)[key]]),
    ),
  );
}

function repeated(list: unknown[], path: string, keyOf: (item: unknown) => unknown): FieldError[] {
  const seen = new Map<string, number>();
  const errors: FieldError[] = [];
  list.forEach((item, i) => {
    const key = keyOf(item);
    const text = canonical(key);
    const count = (seen.get(text) ?? 0) + 1;
    seen.set(text, count);
    if (count === 2) errors.push(duplicate(`${path}[${i}]`, key));
  });
  return errors;
}

/** JSON with the keys in order. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isMap(value)) return JSON.stringify(value);
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
    .join(',')}}`;
}
