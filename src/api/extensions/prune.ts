/**
 * Pruning: custom objects keep only what their schema specifies.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning
 */
import { typeOfKind } from '../schema/index.js';
import {
  childPath,
  EMBEDDED,
  isMap,
  itemsOf,
  type Json,
  PRESERVE,
  type Schema,
  TYPE_META,
} from './schema.js';

/** Drops in place what the schema does not specify; returns the paths of what was dropped. `root`: an API object. */
export function prune(value: unknown, schema: Schema, root = true): string[] {
  const dropped: string[] = [];
  pruneValue(value, schema, root, '', dropped);
  return dropped;
}

function pruneValue(
  value: unknown,
  schema: Schema,
  resource: boolean,
  path: string,
  dropped: string[],
): void {
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (items === undefined) {
      if (!schema[PRESERVE]) dropAllOfItems(value, path, dropped);
      return;
    }
    value.forEach((item, i) => {
      pruneValue(item, items, Boolean(items[EMBEDDED]), `${path}[${i}]`, dropped);
    });
  } else if (isMap(value)) pruneMap(value, schema, resource, path, dropped);
}

/** A list that has no schema for its items keeps scalars alone. */
function dropAllOfItems(items: unknown[], path: string, dropped: string[]): void {
  items.forEach((item, i) => {
    pruneValue(item, {}, false, `${path}[${i}]`, dropped);
  });
}

/** Of an object within an object; that of the object itself has been decoded already. */
function pruneMetadata(metadata: unknown, path: string): string[] {
  if (!isMap(metadata)) return [];
  const known = typeOfKind('v1', 'ConfigMap')!.fields.get('metadata')!.value.ref!.fields;
  const unknown = Object.keys(metadata).filter((name) => !known.has(name));
  for (const name of unknown) delete metadata[name];
  return unknown.map((name) => childPath(path, name));
}

function pruneMap(value: Json, schema: Schema, resource: boolean, path: string, dropped: string[]): void {
  const { properties = {}, additionalProperties } = schema;
  for (const name of Object.keys(value)) {
    const at = childPath(path, name);
    if (resource && TYPE_META.has(name)) {
      if (path !== '' && name === 'metadata') dropped.push(...pruneMetadata(value[name], at));
      continue;
    }
    const member = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (member !== undefined) pruneValue(value[name], member, Boolean(member[EMBEDDED]), at, dropped);
    else if (additionalProperties === true) pruneValue(value[name], {}, false, at, dropped);
    else if (typeof additionalProperties === 'object')
      pruneValue(value[name], additionalProperties, Boolean(additionalProperties[EMBEDDED]), at, dropped);
    else if (!schema[PRESERVE]) {
      delete value[name];
      dropped.push(at);
    }
  }
}
