/** Fields that an applier wants otherwise than another manager set them. */
import { StatusError } from '../machinery/status.js';
import { paths } from './field-set.js';
import type { Manager, Managers } from './managers.js';
import { pathText } from './path-element.js';

export interface Conflict {
  manager: Manager;
  /** Path elements. */
  path: string[];
}

/** Each field of each of the managers, whose `fields` are those in conflict. */
export function conflictsOf(managers: Managers): Conflict[] {
  return [...managers.values()].flatMap((manager) =>
    paths(manager.fields).map((path) => ({ manager, path })),
  );
}

/** 409 with a cause for each field, worded as upstream does. */
export function conflictError(conflicts: readonly Conflict[]): StatusError {
  const causes = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${managerText(manager)}`,
    field: pathText(path),
  }));
  return new StatusError(409, 'Conflict', message(conflicts), { causes });
}

function message(conflicts: readonly Conflict[]): string {
  const [first] = conflicts;
  if (conflicts.length === 1 && first !== undefined)
    return `Apply failed with 1 conflict: conflict with ${managerText(first.manager)}: ${pathText(first.path)}`;
  const byManager = new Map<string, string[]>();
  for (const { manager, path } of conflicts) {
    const text = managerText(manager);
    byManager.set(text, [...(byManager.get(text) ?? []), `- ${pathText(path)}`]);
  }
  const lines = [...byManager]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([manager, fields]) => [`conflicts with ${manager}:`, ...fields]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}

function managerText({ name, subresource, operation, apiVersion }: Manager): string {
  const where = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`;
  return `${JSON.stringify(name)}${where}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
}
