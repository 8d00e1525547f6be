/** ClusterRoleBindings: who has a ClusterRole everywhere. */
import type { ClusterRoleBinding } from '#types';
import { pathSegment } from '../../machinery/names.js';
import { defineResource } from '../define.js';
import { bindingColumns, defaultBinding, validateBinding, validateBindingUpdate } from './binding.js';
import { RBAC } from './rules.js';

export const clusterRoleBindings = defineResource<ClusterRoleBinding>({
  group: RBAC,
  version: 'v1',
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  namespaced: false,
  validateName: pathSegment,
  defaults: defaultBinding,
  validate: (binding) => validateBinding(binding, false),
  validateUpdate: validateBindingUpdate,
  columns: bindingColumns,
});
