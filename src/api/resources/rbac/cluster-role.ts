/** ClusterRoles: what is allowed everywhere, or where a RoleBinding says; some gather the rules of others. */
import type { ClusterRole } from '#types';
import { index, required } from '../../machinery/field.js';
import { pathSegment } from '../../machinery/names.js';
import { validateLabelSelector } from '../../machinery/validation.js';
import { nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { createdAtColumn } from './role.js';
import { RBAC, validateRules } from './rules.js';

const SELECTORS = 'aggregationRule.clusterRoleSelectors';

function validateAggregation({ aggregationRule }: ClusterRole) {
  if (!aggregationRule) return [];
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0)
    return [required(SELECTORS, 'at least one clusterRoleSelector required if aggregationRule is non-nil')];
  return selectors.flatMap((selector, i) => validateLabelSelector(selector, index(SELECTORS, i)));
}

export const clusterRoles = defineResource<ClusterRole>({
  group: RBAC,
  version: 'v1',
  kind: 'ClusterRole',
  plural: 'clusterroles',
  namespaced: false,
  validateName: pathSegment,
  defaults(role) {
    role.rules ??= [];
  },
  validate: (role) => [...validateRules(role.rules, false), ...validateAggregation(role)],
  columns: [nameColumn, createdAtColumn],
});
