/** MutatingAdmissionPolicyBindings: where a policy changes objects, and with which parameters. */
import type { MutatingAdmissionPolicyBinding } from '#types';
import { defineResource } from '../define.js';
import { bindingColumns, defaultBinding, validateBinding } from './policy-binding.js';

export const mutatingAdmissionPolicyBindings = defineResource<MutatingAdmissionPolicyBinding>({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'MutatingAdmissionPolicyBinding',
  plural: 'mutatingadmissionpolicybindings',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults: defaultBinding,
  validate: validateBinding,
  columns: bindingColumns,
});
