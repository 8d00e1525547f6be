/** managedFields of the scale subresource: the replicas field of the object and of its Scale are one. */
import type { ManagedFieldsEntry } from '#types';
import { difference, has, isEmptySet, setOf } from './field-set.js';
import {
  type Manager,
  type Managers,
  managerId,
  readManagers,
  setFields,
  writeManagers,
} from './managers.js';
import { fieldElement } from './path-element.js';

export const SCALE_VERSION = 'autoscaling/v1';
const IN_SCALE = setOf(['f:spec', 'f:replicas']);

/** The entries that own the replicas, as they are of the Scale. `path`: names of the fields to the replicas. */
export function scaleEntries(
  entries: readonly ManagedFieldsEntry[] | undefined,
  path: readonly string[],
): ManagedFieldsEntry[] | undefined {
  const elements = path.map(fieldElement);
  const scale: Managers = new Map();
  for (const { entry: _, ...manager } of readManagers(entries)?.values() ?? []) {
    if (!has(manager.fields, elements)) continue;
    const inScale: Manager = { ...manager, apiVersion: SCALE_VERSION, fields: IN_SCALE };
    scale.set(managerId(inScale), inScale);
  }
  return writeManagers(scale);
}

/** The object's entries once the Scale was written with these: who lost the replicas there loses them here. */
export function parentEntries(
  parent: readonly ManagedFieldsEntry[] | undefined,
  scale: readonly ManagedFieldsEntry[] | undefined,
  apiVersion: string,
  path: readonly string[],
): ManagedFieldsEntry[] | undefined {
  const elements = path.map(fieldElement);
  const replicas = setOf(elements);
  const managers: Managers = readManagers(parent) ?? new Map();
  const owners = new Map<string, Manager>();
  for (const manager of readManagers(scale)?.values() ?? [])
    owners.set(managerId({ ...manager, apiVersion }), manager);
  for (const [id, manager] of [...managers]) {
    if (!has(manager.fields, elements)) continue;
    if (owners.delete(id)) continue;
    setFields(managers, id, { ...manager, fields: difference(manager.fields, replicas) });
  }
  for (const [id, { entry: _, ...owner }] of owners) {
    if (isEmptySet(owner.fields)) continue;
    managers.set(id, { ...owner, apiVersion, fields: replicas, time: undefined });
  }
  return writeManagers(managers);
}
