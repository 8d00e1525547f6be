/** Server-side apply and the tracking of who set which field (KEP-555; upstream's `managedfields`). */
import type { ManagedFieldsEntry } from '#types';
import { badRequest, StatusError } from '../machinery/status.js';
import { type KubeObject, parseApiVersion } from '../machinery/types.js';
import { sameJson } from '../machinery/validation.js';
import { type Comparison, compare } from './compare.js';
import { type Conflict, conflictError, conflictsOf } from './conflicts.js';
import { difference, type FieldSet, has, intersection, isEmptySet, LEAF, union } from './field-set.js';
import { fieldsOf } from './fields-of.js';
import { excludedFields, type FieldFilter, filterFields } from './filter.js';
import { lastAppliedFields, syncLastApplied } from './last-applied.js';
import {
  capManagers,
  isReset,
  type Manager,
  type Managers,
  managerId,
  readManagers,
  setFields,
  writeManagers,
} from './managers.js';
import { merge } from './merge.js';
import { prune } from './remove.js';
import { emptyOf, type JsonObject, type Shape, shapeOfKind } from './shape.js';
import { validate } from './validate.js';

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

const BEFORE_FIRST_APPLY = 'before-first-apply';
const KUBECTL = 'kubectl';

const shapeFor = (target: Target): Shape => target.shape ?? shapeOfKind(target.apiVersion, target.kind);

function newManager(target: Target, name: string, operation: Manager['operation']): Manager {
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

/**
 * The managedFields of an object after a write that is no apply: `live` is what was there before (undefined: a
 * new object), `object` what the client made of it. The client may change or reset the entries themselves.
 */
export function trackUpdate(
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

/** Moves what the write changed to its manager. Tells whether anything is owned otherwise than before. */
function update(
  target: Target,
  before: JsonObject,
  object: KubeObject,
  managers: Managers,
  { manager: name, now }: Writer,
): boolean {
  const comparison = compareFor(target, before, object);
  const mine = union(comparison.modified, comparison.added);
  const taken = takeFromOthers(target, managers, comparison, undefined);
  if (!isEmptySet(mine)) {
    const manager = newManager(target, name, 'Update');
    const id = managerId(manager);
    const fields = union(managers.get(id)?.fields ?? LEAF, mine);
    setFields(managers, id, { ...manager, fields }, now);
  }
  const count = managers.size;
  capManagers(managers);
  return taken || !isEmptySet(mine) || managers.size !== count;
}

function compareFor({ filter, ...target }: Target, before: JsonObject, after: JsonObject): Comparison {
  const { removed, modified, added } = compare(shapeFor(target), before, after, excludedFields(filter));
  return {
    removed: filterFields(removed, filter),
    modified: filterFields(modified, filter),
    added: filterFields(added, filter),
  };
}

const isServed = ({ apiVersion, otherVersions = [] }: Target, version: string): boolean =>
  version === apiVersion || otherVersions.includes(version);

/** Takes what was changed or removed from all managers but the one named. */
function takeFromOthers(
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

/**
 * Applies a configuration to the live object (undefined: there is none). Throws StatusError: 400 for a
 * configuration of something else, 409 for conflicts unless forced, 500 for one that does not fit the schema.
 */
export function applyConfiguration(
  target: Target,
  live: KubeObject | undefined,
  config: KubeObject,
  writer: Writer & { force: boolean },
): KubeObject {
  checkConfiguration(target, config);
  const shape = shapeFor(target);
  const problem = validate(shape, config);
  if (problem !== undefined)
    throw new StatusError(500, '', `failed to create typed patch object (${describe(config)}): ${problem}`);
  const base = (live ?? {
    ...emptyOf(shape),
    apiVersion: target.apiVersion,
    kind: target.kind,
  }) as KubeObject;
  const attempt = (force: boolean) => applyOnce(target, base, config, { ...writer, force });
  let result = attempt(writer.force);
  if (Array.isArray(result)) {
    const conflicts = writer.manager === KUBECTL ? withoutClientSide(shape, target, base, result) : result;
    if (conflicts.length > 0) throw conflictError(conflicts);
    result = attempt(true) as KubeObject;
  }
  return writer.manager === KUBECTL ? syncLastApplied(result, config) : result;
}

function checkConfiguration({ apiVersion, kind }: Target, config: KubeObject): void {
  if (config.apiVersion !== apiVersion || config.kind !== kind)
    throw badRequest(`invalid object type: ${gvkText(config)}`);
  if (config.metadata?.managedFields !== undefined && config.metadata.managedFields !== null)
    throw badRequest('metadata.managedFields must be nil');
}

function gvkText({ apiVersion, kind }: KubeObject): string {
  const { group, version } = parseApiVersion(apiVersion ?? '');
  return `${group}/${version}, Kind=${kind ?? ''}`;
}

const describe = (config: KubeObject): string =>
  `${config.metadata?.namespace ?? ''}/${config.metadata?.name ?? ''}; ${gvkText(config)}`;

/** The conflicts that are left when kubectl takes over what it owns by client-side apply. */
function withoutClientSide(
  shape: Shape,
  target: Target,
  live: KubeObject,
  conflicts: Conflict[],
): Conflict[] {
  const allowed = lastAppliedFields(shape, target.apiVersion, live);
  return allowed === undefined ? conflicts : conflicts.filter(({ path }) => !has(allowed, path));
}

/** The merged object, or the conflicts that keep from it. */
function applyOnce(
  target: Target,
  live: KubeObject,
  config: KubeObject,
  { manager: name, now, force }: Writer & { force: boolean },
): KubeObject | Conflict[] {
  const shape = shapeFor(target);
  const managers = readManagers(live.metadata.managedFields) ?? new Map();
  if (managers.size === 0)
    update(target, emptyOf(shape), live, managers, { manager: BEFORE_FIRST_APPLY, now });
  const self = newManager(target, name, 'Apply');
  const id = managerId(self);
  const last = managers.get(id);
  const fields = filterFields(fieldsOf(shape, config), target.filter);
  managers.set(id, last && same(last, self, fields) ? last : { ...self, fields, time: last?.time });
  const merged = merge(shape, live, config) as JsonObject;
  const next = prune(shape, merged, last?.fields ?? LEAF, ownedBy(managers)) as KubeObject;
  const comparison = compareFor(target, live, next);
  if (!force) {
    const conflicts = conflictsOf(conflicting(managers, comparison, id));
    if (conflicts.length > 0) return conflicts;
  }
  takeFromOthers(target, managers, comparison, id);
  const unchanged = sameJson(live, next);
  const mine = managers.get(id);
  if (mine !== undefined && !unchanged) setFields(managers, id, mine, now);
  const managedFields = writeManagers(managers);
  const { managedFields: _, ...metadata } = next.metadata ?? {};
  return {
    ...next,
    metadata: { ...metadata, ...(managedFields ? { managedFields } : {}) } as KubeObject['metadata'],
  };
}

const same = (last: Manager, self: Manager, fields: FieldSet): boolean =>
  last.apiVersion === self.apiVersion &&
  isEmptySet(difference(fields, last.fields)) &&
  isEmptySet(difference(last.fields, fields));

function ownedBy(managers: Managers): FieldSet {
  let all = LEAF;
  for (const { fields } of managers.values()) all = union(all, fields);
  return all;
}

/** What of others' fields the write changes. */
function conflicting(managers: Managers, { modified, added }: Comparison, except: string): Managers {
  const changed = union(modified, added);
  const found: Managers = new Map();
  for (const [id, manager] of managers) {
    if (id === except) continue;
    const fields = intersection(manager.fields, changed);
    if (!isEmptySet(fields)) found.set(id, { ...manager, fields });
  }
  return found;
}
