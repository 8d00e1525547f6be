/** ValidatingAdmissionPolicies: rules for writes, as expressions that the API server evaluates itself. */
import type {
  AuditAnnotation,
  ExpressionWarning,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicySpec,
  Validation,
} from '#types';
import {
  type AdmissionScope,
  admissionEnvironment,
  BOOL,
  compileVariables,
  type Environment,
  NULL,
  STRING,
} from '../../cel/index.js';
import { compileJsonPath } from '../../extensions/json-path.js';
import { validateConditions } from '../../machinery/conditions.js';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { sameJson, validateQualifiedName } from '../../machinery/validation.js';
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

const REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];
const MAX_ANNOTATIONS = 20;
const MAX_VALUE_EXPRESSION = 5 * 1024;

export const validatingAdmissionPolicies = defineResource<ValidatingAdmissionPolicy>({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'ValidatingAdmissionPolicy',
  plural: 'validatingadmissionpolicies',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  subresources: [{ name: 'status', kind: 'ValidatingAdmissionPolicy', verbs: ['get', 'patch', 'update'] }],
  defaults(policy) {
    policy.spec ??= {};
    policy.spec.failurePolicy ??= 'Fail';
    defaultMatchResources(policy.spec.matchConstraints);
  },
  validateCreate: (policy) => validatePolicy(policy),
  validateUpdate: (policy, old) => (sameJson(policy.spec, old.spec) ? [] : validatePolicy(policy)),
  validateStatusUpdate: ({ status }) => [
    ...(status?.typeChecking?.expressionWarnings ?? []).flatMap((warning, i) =>
      validateWarning(warning, index('status.typeChecking.expressionWarnings', i)),
    ),
    ...validateConditions(status?.conditions, 'status.conditions'),
  ],
  columns: [
    nameColumn,
    {
      name: 'Validations',
      type: 'integer',
      description: 'How many validations there are.',
      cell: ({ spec }) => (spec?.validations ?? []).length,
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

export const paramKindText = (kind: { apiVersion?: string; kind?: string } | undefined): string =>
  kind ? `${kind.apiVersion}/${kind.kind}` : '<unset>';

function validateWarning({ fieldRef, warning }: ExpressionWarning, path: string): FieldError[] {
  const at = child(path, 'fieldRef');
  const errors = warning ? [] : [required(child(path, 'warning'))];
  const text = fieldRef?.trim() ?? '';
  if (text === '') return [...errors, required(at)];
  try {
    compileJsonPath(`{${text}}`);
  } catch (error) {
    errors.push(invalid(at, text, `invalid JSONPath: ${(error as Error).message}`));
  }
  return errors;
}

function validatePolicy({ metadata, spec = {} }: ValidatingAdmissionPolicy): FieldError[] {
  const at = (field: string) => child('spec', field);
  const { validations = [], auditAnnotations = [], variables = [], paramKind } = spec;
  const scope: AdmissionScope = { params: paramKind !== undefined };
  const { expressions, types } = compileVariables(scope, variables);
  const composed = { ...scope, ...(variables.length > 0 && { variables: types }) };
  const environment = admissionEnvironment(composed);
  const errors = [
    ...validateFailurePolicy(spec.failurePolicy, at('failurePolicy')),
    ...validateParamKind(paramKind, at('paramKind')),
    ...validateMatchConstraints(spec.matchConstraints, at('matchConstraints')),
    ...validateMatchConditions(spec.matchConditions, at('matchConditions'), scope),
    ...validateVariables(variables, expressions, at('variables')),
  ];
  if (validations.length === 0 && auditAnnotations.length === 0) {
    const missing = 'validations or auditAnnotations must contain at least one item';
    return [...errors, required(at('validations'), missing), required(at('auditAnnotations'), missing)];
  }
  const messages = admissionEnvironment({ ...composed, authorizer: false });
  errors.push(
    ...validations.flatMap((each, i) =>
      validateValidation(each, environment, messages, index(at('validations'), i)),
    ),
    ...validateAnnotations(spec, metadata?.name ?? '', environment, at('auditAnnotations')),
  );
  return errors;
}

function validateValidation(
  validation: Validation,
  environment: Environment,
  messages: Environment,
  path: string,
): FieldError[] {
  const at = (field: string) => child(path, field);
  const { expression, message, messageExpression, reason } = validation;
  const errors = validateExpression(
    environment,
    expression,
    at('expression'),
    [BOOL],
    'expression is not specified',
  );
  if (messageExpression && messageExpression.trim() === '')
    errors.push(invalid(at('messageExpression'), messageExpression, 'must be non-empty if specified'));
  else if (messageExpression)
    errors.push(...validateExpression(messages, messageExpression, at('messageExpression'), [STRING], ''));
  if (message && message.trim() === '')
    errors.push(invalid(at('message'), message, 'message must be non-empty if specified'));
  else if (message && /[\n\r]/.test(message.trim()))
    errors.push(invalid(at('message'), message, 'message must not contain line breaks'));
  if (reason !== undefined && !REASONS.includes(reason))
    errors.push(notSupported(at('reason'), reason, REASONS));
  return errors;
}

function validateAnnotations(
  { auditAnnotations = [] }: ValidatingAdmissionPolicySpec,
  name: string,
  environment: Environment,
  path: string,
): FieldError[] {
  const errors = auditAnnotations.flatMap((annotation, i) => {
    const wrong = validateAnnotation(annotation, name, environment, index(path, i));
    if (auditAnnotations.findIndex(({ key }) => key === annotation.key) < i)
      wrong.push(duplicate(child(index(path, i), 'key'), annotation.key));
    return wrong;
  });
  if (auditAnnotations.length > MAX_ANNOTATIONS)
    errors.unshift(
      invalid(path, auditAnnotations, `must not have more than ${MAX_ANNOTATIONS} auditAnnotations`),
    );
  return errors;
}

function validateAnnotation(
  { key, valueExpression = '' }: AuditAnnotation,
  name: string,
  environment: Environment,
  path: string,
): FieldError[] {
  const at = child(path, 'valueExpression');
  const errors =
    name === ''
      ? [invalid(child(path, 'key'), key, 'requires metadata.name be non-empty')]
      : validateQualifiedName(`${name}/${key}`, child(path, 'key'));
  if (Buffer.byteLength(valueExpression.trim()) > MAX_VALUE_EXPRESSION)
    return [...errors, required(at, `must not exceed ${MAX_VALUE_EXPRESSION} bytes in length`)];
  return [
    ...errors,
    ...validateExpression(
      environment,
      valueExpression,
      at,
      [STRING, NULL],
      'valueExpression is not specified',
    ),
  ];
}
