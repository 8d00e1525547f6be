/** Server-side apply: merges a configuration into an object, and its fields into the ownership of its applier (KEP-555). */
import { badRequest, StatusError } from '../machinery/status.js';
import { type KubeObject, parseApiVersion } from '../machinery/types.js';
import { sameJson } from '../machinery/validation.js';
import type { Comparison } from './compare.js';
import { type Conflict, conflictError, conflictsOf } from './conflicts.js';
import { difference, type FieldSet, has, intersection, isEmptySet, LEAF, union } from './field-set.js';
import { fieldsOf } from './fields-of.js';
import { filterFields } from './filter.js';
import { lastAppliedFields, syncLastApplied } from './last-applied.js';
import { ItemError } from './list-items.js';
import {
  type Manager,
  type Managers,
  managerId,
  readManagers,
  setFields,
  writeManagers,
} from './managers.js';
import { merge } from './merge.js';
import {
  compareFor,
  newManager,
  shapeFor,
  type Target,
  takeFromOthers,
  update,
  type Writer,
} from './ownership.js';
import { prune } from './remove.js';
import { emptyOf, type JsonObject, type Shape } from './shape.js';
import { validate } from './validate.js';

const BEFORE_FIRST_APPLY = 'before-first-apply';
const KUBECTL = 'kubectl';

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
  const attempt = (force: boolean) => {
    try {
      return applyOnce(target, base, config, { ...writer, force });
    } catch (error) {
      // The configuration is valid, so it is the live object that breaks the rules of its lists.
      if (!(error instanceof ItemError)) throw error;
      throw new StatusError(
        500,
        '',
        `failed to create typed live object (${describe(config)}): ${error.message}`,
      );
    }
  };
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
