/** Tracks who set which field of what is created and updated (KEP-555; upstream's `managedfields`). */
import type { ManagedFieldsEntry } from '#types';
import type { KubeObject } from '../machinery/types.js';
import { ItemError } from './list-items.js';
import { isReset, type Manager, type Managers, managerId, readManagers, writeManagers } from './managers.js';
import { shapeFor, type Target, update, type Writer } from './ownership.js';
import { emptyOf } from './shape.js';

/**
 * The managedFields of an object after a write that is no apply: `live` is what was there before (undefined: a
 * new object), `object` what the client made of it. The client may change or reset the entries themselves. An object
 * with list items that can't be told apart is not tracked: its validation is about to refuse it.
 */
export function trackUpdate(
  target: Target,
  live: KubeObject | undefined,
  object: KubeObject,
  writer: Writer,
): ManagedFieldsEntry[] | undefined {
  try {
    return track(target, live, object, writer);
  } catch (error) {
    if (error instanceof ItemError) return live?.metadata.managedFields;
    throw error;
  }
}

function track(
  target: Target,
  live: KubeObject | undefined,
  object: KubeObject,
  writer: Writer,
): ManagedFieldsEntry[] | undefined {
  const managers = managersOf(target, live, object);
  if (managers.size === 0 && live?.metadata.uid) return undefined;
  const before = live ?? emptyOf(shapeFor(target));
  const changed = update(target, before, object, managers, writer);
  if (!changed && live !== undefined && sameEntries(managers, live)) return live.metadata.managedFields;
  return writeManagers(managers);
}

/** Nothing was read but what the live object has. */
function sameEntries(managers: Managers, live: KubeObject): boolean {
  const entries = live.metadata.managedFields ?? [];
  return (
    entries.length === managers.size &&
    entries.every((entry) => managers.get(entryId(entry))?.entry === entry)
  );
}

const entryId = (entry: ManagedFieldsEntry): string =>
  managerId({
    name: entry.manager ?? '',
    operation: entry.operation as Manager['operation'],
    apiVersion: entry.apiVersion ?? '',
    subresource: entry.subresource ?? '',
  });

/** From the new object where it has any that can be read; a subresource can't change them. */
function managersOf(target: Target, live: KubeObject | undefined, object: KubeObject): Managers {
  const given = object.metadata.managedFields;
  const before = live?.metadata.managedFields;
  if (target.subresource === '' && given !== before && given !== undefined) {
    if (isReset(given)) return new Map();
    const managers = readManagers(given);
    if (managers !== undefined && managers.size > 0) return managers;
  }
  return readManagers(before) ?? new Map();
}
