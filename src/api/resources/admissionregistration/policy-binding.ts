/** What bindings of both kinds of policies have. */
import type { MutatingAdmissionPolicyBinding, ParamRef, ValidatingAdmissionPolicyBinding } from '#types';
import { type FieldError, required } from '../../machinery/field.js';
import { goSelectorText } from '../../machinery/selectors.js';
import { validateDns1123Subdomain } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import type { Column } from '../define.js';
import {
  defaultMatchResources,
  defaultParamRef,
  validateMatchResources,
  validateParamRef,
} from './policy-validation.js';

type Binding = ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding;

export function defaultBinding(binding: Binding): void {
  binding.spec ??= {};
  defaultMatchResources(binding.spec.matchResources);
  defaultParamRef(binding.spec.paramRef);
}

export function validateBinding({ spec = {} }: Binding): FieldError[] {
  const { policyName = '', paramRef, matchResources } = spec;
  return [
    ...(policyName === ''
      ? [required('spec.policyName')]
      : validateDns1123Subdomain(policyName, 'spec.policyName')),
    ...validateParamRef(paramRef, 'spec.paramRef'),
    // Upstream's path has this typing error.
    ...validateMatchResources(matchResources, 'spec.matchResouces'),
  ];
}

function paramText(ref: ParamRef | undefined): string {
  if (!ref) return '<unset>';
  if (ref.name) return `${ref.namespace || '*'}/${ref.name}`;
  return ref.selector ? goSelectorText(ref.selector) : '<unset>';
}

export const bindingColumns: Column<any>[] = [
  nameColumn,
  {
    name: 'PolicyName',
    type: 'string',
    description: 'The policy that is bound.',
    cell: ({ spec }: Binding) => spec?.policyName ?? '',
  },
  {
    name: 'ParamRef',
    type: 'string',
    description: 'Its parameters.',
    cell: ({ spec }: Binding) => paramText(spec?.paramRef),
  },
  ageColumn,
];
