/** ValidatingAdmissionPolicyBindings: where a policy holds, with which parameters, and what follows from a violation. */
import type { ValidatingAdmissionPolicyBinding } from '#types';
import { duplicate, type FieldError, index, invalid, notSupported, required } from '../../machinery/field.js';
import { defineResource } from '../define.js';
import { bindingColumns, defaultBinding, validateBinding } from './policy-binding.js';

const ACTIONS = ['Audit', 'Deny', 'Warn'];

export const validatingAdmissionPolicyBindings = defineResource<ValidatingAdmissionPolicyBinding>({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'ValidatingAdmissionPolicyBinding',
  plural: 'validatingadmissionpolicybindings',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults: defaultBinding,
  validate: (binding) => [
    ...validateBinding(binding),
    ...validateActions(binding.spec?.validationActions ?? [], 'spec.validationActions'),
  ],
  columns: bindingColumns,
});

function validateActions(actions: readonly string[], path: string): FieldError[] {
  const errors = actions.flatMap((action, i) => [
    ...(ACTIONS.includes(action) ? [] : [notSupported(index(path, i), action, ACTIONS)]),
    ...(actions.indexOf(action) < i ? [duplicate(index(path, i), action)] : []),
  ]);
  if (actions.includes('Deny') && actions.includes('Warn'))
    errors.push(
      invalid(
        path,
        actions,
        'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
      ),
    );
  if (actions.length === 0) errors.push(required(path, 'at least one validation action is required'));
  return errors;
}
