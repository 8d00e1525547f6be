/** Roles: what is allowed in one namespace. */
import type { Role } from '#types';
import { pathSegment } from '../../machinery/names.js';
import { nameColumn } from '../columns.js';
import { type Column, defineResource } from '../define.js';
import { RBAC, validateRules } from './rules.js';

/** A time as it stands in the object, not as an age. */
export const createdAtColumn: Column<any> = {
  name: 'Created At',
  type: 'date',
  description: 'When the object was created.',
  cell: (object) => object.metadata.creationTimestamp ?? null,
};

export const roles = defineResource<Role>({
  group: RBAC,
  version: 'v1',
  kind: 'Role',
  plural: 'roles',
  namespaced: true,
  validateName: pathSegment,
  defaults(role) {
    role.rules ??= [];
  },
  validate: (role) => validateRules(role.rules, true),
  columns: [nameColumn, createdAtColumn],
});
