/** The managers of an object's fields, as `metadata.managedFields` lists them. */
import type { ManagedFieldsEntry } from '#types';
import { equalSets, type FieldSet, isEmptySet, LEAF, union } from './field-set.js';
import { inOrder, parseFields } from './fields-v1.js';

export type Operation = 'Apply' | 'Update';

/** One manager by one way of writing: what it owns, and when it last changed something. */
export interface Manager {
  readonly name: string;
  readonly operation: Operation;
  readonly apiVersion: string;
  /** '' for the object itself. */
  readonly subresource: string;
  readonly time: string | undefined;
  readonly fields: FieldSet;
  /** The entry that it was read from, as long as it says the same. */
  readonly entry?: ManagedFieldsEntry | undefined;
}

/** By identity. */
export type Managers = Map<string, Manager>;

/** An applier is the same whatever version it applies; who updates is another one in each version. */
export function managerId({
  name,
  operation,
  apiVersion,
  subresource,
}: Omit<Manager, 'fields' | 'time'>): string {
  return `${operation}\0${name}\0${operation === 'Apply' ? '' : apiVersion}\0${subresource}`;
}

/** Reads the entries; undefined if one of them can't be read. */
export function readManagers(entries: readonly ManagedFieldsEntry[] | undefined): Managers | undefined {
  const managers: Managers = new Map();
  for (const entry of entries ?? []) {
    const { manager: name = '', operation, apiVersion, time, fieldsType, subresource = '' } = entry;
    if ((operation !== 'Apply' && operation !== 'Update') || !apiVersion || fieldsType !== 'FieldsV1')
      return undefined;
    const fields = parseFields(entry.fieldsV1 ?? LEAF);
    if (fields === undefined) return undefined;
    const manager: Manager = { name, operation, apiVersion, subresource, time, fields, entry };
    managers.set(managerId(manager), manager);
  }
  return managers;
}

/** A non-nil list without entries, or with one that says nothing, asks for all to be forgotten. */
export function isReset(entries: readonly ManagedFieldsEntry[] | undefined): boolean {
  if (entries === undefined || entries === null) return false;
  if (entries.length === 0) return true;
  return entries.length === 1 && Object.keys(entries[0] as object).length === 0;
}

/** The entries in upstream's order: appliers first, then by time and name. Undefined if there are none. */
export function writeManagers(managers: Managers): ManagedFieldsEntry[] | undefined {
  if (managers.size === 0) return undefined;
  return [...managers.values()].sort(compareManagers).map((manager) => manager.entry ?? entryOf(manager));
}

/** In the order of upstream's fields; built member by member, since this is on the way of every write. */
function entryOf({ name, operation, apiVersion, subresource, time, fields }: Manager): ManagedFieldsEntry {
  const entry: ManagedFieldsEntry = {};
  if (name !== '') entry.manager = name;
  entry.operation = operation;
  entry.apiVersion = apiVersion;
  if (time !== undefined) entry.time = time;
  entry.fieldsType = 'FieldsV1';
  entry.fieldsV1 = inOrder(fields) as NonNullable<ManagedFieldsEntry['fieldsV1']>;
  if (subresource !== '') entry.subresource = subresource;
  return entry;
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function compareManagers(a: Manager, b: Manager): number {
  return (
    order(a.operation, b.operation) ||
    order(a.time ?? '', b.time ?? '') ||
    order(a.name, b.name) ||
    order(a.apiVersion, b.apiVersion) ||
    order(a.subresource, b.subresource)
  );
}

/** Gives a manager other fields (none: it is forgotten) and, where given, a new time. */
export function setFields(managers: Managers, id: string, manager: Manager, time = manager.time): void {
  const { name, operation, apiVersion, subresource, fields } = manager;
  if (isEmptySet(fields)) managers.delete(id);
  else managers.set(id, { name, operation, apiVersion, subresource, time, fields, entry: undefined });
}

/** Whether two lists of entries differ in no more than the times. */
export function sameButTimes(
  a: readonly ManagedFieldsEntry[] | undefined,
  b: readonly ManagedFieldsEntry[] | undefined,
): boolean {
  if (a === b) return true;
  const [left, right] = [readManagers(a), readManagers(b)];
  if (left === undefined || right === undefined || left.size !== right.size) return false;
  for (const [id, manager] of left) {
    const other = right.get(id);
    if (other?.apiVersion !== manager.apiVersion || !equalSets(other.fields, manager.fields)) return false;
  }
  return true;
}

/** At most so many who update are told apart. */
const MAX_UPDATE_MANAGERS = 10;
const OLD_UPDATES = 'ancient-changes';

/** Merges those whose updates are the oldest, version by version, until no more than ten are left. */
export function capManagers(managers: Managers): void {
  if (managers.size <= MAX_UPDATE_MANAGERS) return;
  const updaters = [...managers].filter(([, manager]) => manager.operation === 'Update');
  let count = updaters.length;
  if (count <= MAX_UPDATE_MANAGERS) return;
  updaters.sort(([id, a], [otherId, b]) => order(a.time ?? '', b.time ?? '') || order(id, otherId));
  const firsts = new Map<string, string>();
  for (const [id, manager] of updaters) {
    if (count <= MAX_UPDATE_MANAGERS) return;
    const { apiVersion } = manager;
    const first = firsts.get(apiVersion);
    if (first === undefined) {
      firsts.set(apiVersion, id);
      continue;
    }
    moveToBucket(managers, first, id, manager);
    count--;
  }
}

function moveToBucket(managers: Managers, first: string, id: string, manager: Manager): void {
  const bucket = { ...manager, name: OLD_UPDATES, subresource: '' };
  const bucketId = managerId(bucket);
  const old = managers.get(bucketId) ?? (managers.get(first) as Manager);
  if (!managers.has(bucketId)) managers.delete(first);
  if (id !== bucketId) managers.delete(id);
  setFields(managers, bucketId, { ...bucket, fields: union(manager.fields, old.fields) });
}
