/** Moves fields between managers as writes change them. */
import type { KubeObject } from '../machinery/types.js';
import { type Comparison, compare } from './compare.js';
import { difference, isEmptySet, LEAF, union } from './field-set.js';
import { excludedFields, type FieldFilter, filterFields } from './filter.js';
import { capManagers, type Manager, type Managers, managerId, setFields } from './managers.js';
import { type JsonObject, type Shape, shapeOfKind } from './shape.js';

/** What a write is of. */
export interface Target {
  apiVersion: string;
  kind: string;
  /** '' for the object itself. */
  subresource: string;
  /** Which fields it can own; all when absent. */
  filter?: FieldFilter | undefined;
  /** Other versions that the kind is served in: who manages fields in them goes on. */
  otherVersions?: readonly string[];
  /** For kinds that have no schema of their own here. */
  shape?: Shape;
}

export interface Writer {
  /** The field manager; `unknown` when ''. */
  manager: string;
  /** RFC 3339 in whole seconds. */
  now: string;
}

export const shapeFor = (target: Target): Shape =>
  target.shape ?? shapeOfKind(target.apiVersion, target.kind);

export function newManager(target: Target, name: string, operation: Manager['operation']): Manager {
  const { apiVersion, subresource } = target;
  return {
    name: name === '' ? 'unknown' : name,
    operation,
    apiVersion,
    subresource,
    time: undefined,
    fields: LEAF,
  };
}

/** Moves what the write changed to its manager. Tells whether anything is owned otherwise than before. */
export function update(
  target: Target,
  before: JsonObject,
  object: KubeObject,
  managers: Managers,
  { manager: name, now }: Writer,
): boolean {
  const comparison = compareFor(target, before, object);
  const mine = union(comparison.modified, comparison.added);
  const manager = newManager(target, name, 'Update');
  const id = managerId(manager);
  const taken = takeFromOthers(target, managers, comparison, id);
  const owned = managers.get(id)?.fields ?? LEAF;
  const fields = union(difference(owned, comparison.removed), mine);
  if (fields !== owned || !isEmptySet(mine))
    setFields(managers, id, { ...manager, fields }, isEmptySet(mine) ? managers.get(id)?.time : now);
  const count = managers.size;
  capManagers(managers);
  return taken || fields !== owned || !isEmptySet(mine) || managers.size !== count;
}

export function compareFor({ filter, ...target }: Target, before: JsonObject, after: JsonObject): Comparison {
  const comparison = compare(shapeFor(target), before, after, excludedFields(filter));
  if (filter === undefined) return comparison;
  const { removed, modified, added } = comparison;
  return {
    removed: filterFields(removed, filter),
    modified: filterFields(modified, filter),
    added: filterFields(added, filter),
  };
}

const isServed = ({ apiVersion, otherVersions = [] }: Target, version: string): boolean =>
  version === apiVersion || otherVersions.includes(version);

/** Takes what was changed or removed from all managers but the one named. */
export function takeFromOthers(
  target: Target,
  managers: Managers,
  { removed, modified, added }: Comparison,
  except: string | undefined,
): boolean {
  const changed = union(modified, added);
  let any = false;
  for (const [id, manager] of [...managers]) {
    if (id !== except && !isServed(target, manager.apiVersion)) {
      managers.delete(id);
      any = true;
      continue;
    }
    const fields = id === except ? manager.fields : difference(difference(manager.fields, changed), removed);
    if (fields === manager.fields && !isEmptySet(fields)) continue;
    setFields(managers, id, { ...manager, fields });
    any = true;
  }
  return any;
}
