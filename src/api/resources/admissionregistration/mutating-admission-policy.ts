/** MutatingAdmissionPolicies: changes to objects on their way in, as expressions. */
import type { MutatingAdmissionPolicy, Mutation } from '#types';
import {
  APPLY_CONFIGURATION,
  compileVariables,
  type Environment,
  JSON_PATCH,
  listOf,
  mutationEnvironment,
} from '../../cel/index.js';
import { child, type FieldError, index, invalid, notSupported, required } from '../../machinery/field.js';
import { sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import {
  defaultMatchResources,
  validateExpression,
  validateFailurePolicy,
  validateMatchConditions,
  validateMatchConstraints,
  validateParamKind,
  validateVariables,
} from './policy-validation.js';
import { paramKindText } from './validating-admission-policy.js';

const PATCH_TYPES = ['ApplyConfiguration', 'JSONPatch'];
const REINVOCATION = ['IfNeeded', 'Never'];

export const mutatingAdmissionPolicies = defineResource<MutatingAdmissionPolicy>({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'MutatingAdmissionPolicy',
  plural: 'mutatingadmissionpolicies',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults(policy) {
    policy.spec ??= {};
    policy.spec.failurePolicy ??= 'Fail';
    policy.spec.reinvocationPolicy ??= 'Never';
    defaultMatchResources(policy.spec.matchConstraints);
  },
  validateCreate: (policy) => validatePolicy(policy),
  validateUpdate: (policy, old) => (sameJson(policy.spec, old.spec) ? [] : validatePolicy(policy)),
  columns: [
    nameColumn,
    {
      name: 'Mutations',
      type: 'integer',
      description: 'How many mutations there are.',
      cell: ({ spec }) => (spec?.mutations ?? []).length,
    },
    {
      name: 'ParamKind',
      type: 'string',
      description: 'The kind of its parameters.',
      cell: ({ spec }) => paramKindText(spec?.paramKind),
    },
    ageColumn,
  ],
});

function validatePolicy({ spec = {} }: MutatingAdmissionPolicy): FieldError[] {
  const at = (field: string) => child('spec', field);
  const { mutations = [], variables = [], paramKind, reinvocationPolicy } = spec;
  const scope = { params: paramKind !== undefined };
  const { expressions, types } = compileVariables(scope, variables, mutationEnvironment);
  const environment = mutationEnvironment({ ...scope, ...(variables.length > 0 && { variables: types }) });
  const errors = [
    ...validateFailurePolicy(spec.failurePolicy, at('failurePolicy')),
    ...validateParamKind(paramKind, at('paramKind')),
    ...validateMatchConstraints(spec.matchConstraints, at('matchConstraints')),
    ...validateMatchConditions(spec.matchConditions, at('matchConditions'), scope),
    ...validateVariables(variables, expressions, at('variables')),
    ...mutations.flatMap((each, i) => validateMutation(each, environment, index(at('mutations'), i))),
  ];
  if (mutations.length === 0)
    errors.push(required(at('mutations'), 'mutations must contain at least one item'));
  if (!reinvocationPolicy) errors.push(required(at('reinvocationPolicy')));
  else if (!REINVOCATION.includes(reinvocationPolicy))
    errors.push(notSupported(at('reinvocationPolicy'), reinvocationPolicy, REINVOCATION));
  return errors;
}

function validateMutation(
  { patchType, applyConfiguration, jsonPatch }: Mutation,
  environment: Environment,
  path: string,
): FieldError[] {
  if (!patchType) return [required(child(path, 'patchType'))];
  if (!PATCH_TYPES.includes(patchType))
    return [notSupported(child(path, 'patchType'), patchType, PATCH_TYPES)];
  const applies = patchType === 'ApplyConfiguration';
  const [field, given] = applies
    ? (['applyConfiguration', applyConfiguration] as const)
    : (['jsonPatch', jsonPatch] as const);
  const [other, excess] = applies
    ? (['jsonPatch', jsonPatch] as const)
    : (['applyConfiguration', applyConfiguration] as const);
  const errors: FieldError[] = [];
  if (excess)
    errors.push(invalid(child(path, other), excess, `must not be specified when patchType is ${patchType}`));
  if (!given)
    return [...errors, required(child(path, field), `must be specified when patchType is ${patchType}`)];
  const wanted = applies ? [APPLY_CONFIGURATION] : [listOf(JSON_PATCH)];
  return [
    ...errors,
    ...validateExpression(
      environment,
      given.expression,
      child(path, field, 'expression'),
      wanted,
      'expression is not specified',
    ),
  ];
}
