/** RoleBindings: who has a role in one namespace. */
import type { RoleBinding } from '#types';
import { pathSegment } from '../../machinery/names.js';
import { defineResource } from '../define.js';
import { bindingColumns, defaultBinding, validateBinding, validateBindingUpdate } from './binding.js';
import { RBAC } from './rules.js';

export const roleBindings = defineResource<RoleBinding>({
  group: RBAC,
  version: 'v1',
  kind: 'RoleBinding',
  plural: 'rolebindings',
  namespaced: true,
  validateName: pathSegment,
  defaults: defaultBinding,
  validate: (binding) => validateBinding(binding, true),
  validateUpdate: validateBindingUpdate,
  columns: bindingColumns,
});
