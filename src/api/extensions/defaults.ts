/**
 * Defaulting by schema, and what becomes of nulls.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable
 */
import { deepCopy } from '../machinery/types.js';
import { isMap, itemsOf, type Json, memberOf, type Schema, setMember } from './schema.js';

/** Sets in place what is absent and has a default; nulls that may not be are defaulted or dropped. `root`: an API object. */
export function applyDefaults(value: unknown, schema: Schema, root = true): void {
  if (isMap(value)) defaultMap(value, schema, root);
  else if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (items === undefined) return;
    value.forEach((item, i) => {
      if (item === null && !items.nullable && items.default !== undefined) value[i] = deepCopy(items.default);
      applyDefaults(value[i], items, false);
    });
  }
}

function defaultMap(value: Json, schema: Schema, root: boolean): void {
  const { properties = {} } = schema;
  for (const name in properties) {
    const fallback = (properties[name] as Schema).default;
    if (fallback === undefined || fallback === null || (root && name === 'metadata')) continue;
    if (!Object.hasOwn(value, name)) setMember(value, name, deepCopy(fallback));
  }
  for (const name of Object.keys(value)) {
    if (root && name === 'metadata') continue;
    const member = memberOf(schema, name);
    if (member === undefined) continue;
    if (value[name] === null && !member.nullable && !replaceNull(value, name, member)) continue;
    applyDefaults(value[name], member, false);
  }
}

/** Tells whether there is a value now. */
function replaceNull(value: Json, name: string, schema: Schema): boolean {
  if (schema.default !== undefined && schema.default !== null) {
    setMember(value, name, deepCopy(schema.default));
    return true;
  }
  delete value[name];
  return false;
}
