/** What policies of both kinds and their bindings have in common: defaults and validation. */
import type {
  MatchCondition,
  MatchResources,
  NamedRuleWithOperations,
  ParamKind,
  ParamRef,
  Variable,
} from '#types';
import {
  type AdmissionScope,
  admissionEnvironment,
  BOOL,
  compileFor,
  type Environment,
  type Expression,
  type Type,
} from '../../cel/index.js';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
  tooMany,
} from '../../machinery/field.js';
import { dns1035Label, dns1123Subdomain, pathSegment } from '../../machinery/names.js';
import { validateLabelSelector, validateQualifiedName } from '../../machinery/validation.js';
import { defaultRule, validateRule } from './webhook.js';

export function defaultMatchResources(resources: MatchResources | undefined): void {
  if (!resources) return;
  resources.matchPolicy ??= 'Equivalent';
  resources.namespaceSelector ??= {};
  resources.objectSelector ??= {};
  for (const rule of [...(resources.resourceRules ?? []), ...(resources.excludeResourceRules ?? [])])
    defaultRule(rule);
}

export function defaultParamRef(ref: ParamRef | undefined): void {
  if (ref) ref.parameterNotFoundAction ??= 'Deny';
}

export function validateFailurePolicy(policy: string | undefined, path: string): FieldError[] {
  if (policy === undefined) return [required(path)];
  return ['Fail', 'Ignore'].includes(policy) ? [] : [notSupported(path, policy, ['Fail', 'Ignore'])];
}

export function validateMatchConstraints(
  constraints: MatchResources | undefined,
  path: string,
): FieldError[] {
  if (!constraints) return [required(path)];
  const errors = validateMatchResources(constraints, path);
  if ((constraints.resourceRules ?? []).length === 0) errors.push(required(child(path, 'resourceRules')));
  return errors;
}

export function validateMatchResources(resources: MatchResources | undefined, path: string): FieldError[] {
  if (!resources) return [];
  const at = (field: string) => child(path, field);
  const { matchPolicy, namespaceSelector, objectSelector, resourceRules, excludeResourceRules } = resources;
  const errors: FieldError[] = [];
  if (matchPolicy === undefined) errors.push(required(at('matchPolicy')));
  else if (!['Equivalent', 'Exact'].includes(matchPolicy))
    errors.push(notSupported(at('matchPolicy'), matchPolicy, ['Equivalent', 'Exact']));
  errors.push(
    ...validateLabelSelector(namespaceSelector, at('namespaceSelector')),
    ...validateLabelSelector(objectSelector, at('objectSelector')),
    ...(resourceRules ?? []).flatMap((rule, i) => validateNamedRule(rule, index(at('resourceRules'), i))),
    ...(excludeResourceRules ?? []).flatMap((rule, i) =>
      validateNamedRule(rule, index(at('excludeResourceRules'), i)),
    ),
  );
  return errors;
}

function validateNamedRule(rule: NamedRuleWithOperations, path: string): FieldError[] {
  const names = rule.resourceNames ?? [];
  const errors = names.flatMap((name, i) => {
    const at = index(child(path, 'resourceNames'), i);
    const wrong = pathSegment(name).map((message) => invalid(at, name, message));
    return names.indexOf(name) < i ? [...wrong, duplicate(at, name)] : wrong;
  });
  return [...errors, ...validateRule(rule, path)];
}

export function validateParamKind(kind: ParamKind | undefined, path: string): FieldError[] {
  if (!kind) return [];
  const errors: FieldError[] = [];
  const { apiVersion = '', kind: name = '' } = kind;
  const at = child(path, 'apiVersion');
  const parts = apiVersion.split('/');
  if (apiVersion === '') errors.push(required(at));
  else if (parts.length > 2)
    errors.push(invalid(at, apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  else {
    const [group, version] = parts.length === 1 ? ['', parts[0]!] : [parts[0]!, parts[1]!];
    const wrongGroup = group === '' ? [] : dns1123Subdomain(group);
    if (wrongGroup.length > 0) errors.push(invalid(at, group, wrongGroup.join(',')));
    const wrongVersion = dns1035Label(version);
    if (version === '') errors.push(invalid(at, apiVersion, 'version must be specified'));
    else if (wrongVersion.length > 0) errors.push(invalid(at, version, wrongVersion.join(',')));
  }
  const wrongKind = name === '' ? [] : dns1035Label(name.toLowerCase());
  if (name === '') errors.push(required(child(path, 'kind')));
  else if (wrongKind.length > 0)
    errors.push(
      invalid(
        child(path, 'kind'),
        name,
        `may have mixed case, but should otherwise match: ${wrongKind.join(',')}`,
      ),
    );
  return errors;
}

export function validateParamRef(ref: ParamRef | undefined, path: string): FieldError[] {
  if (!ref) return [];
  const { name, selector, parameterNotFoundAction: action } = ref;
  const exclusive = 'name and selector are mutually exclusive';
  const errors: FieldError[] = [];
  if (name) {
    errors.push(...pathSegment(name).map((message) => invalid(child(path, 'name'), name, message)));
    if (selector) errors.push(forbidden(child(path, 'name'), exclusive));
  }
  if (selector) {
    errors.push(...validateLabelSelector(selector, child(path, 'selector')));
    if (name) errors.push(forbidden(child(path, 'selector'), exclusive));
  }
  if (!name && !selector) errors.push(required(path, 'one of name or selector must be specified'));
  if (!action) errors.push(required(child(path, 'parameterNotFoundAction')));
  else if (!['Allow', 'Deny'].includes(action))
    errors.push(notSupported(child(path, 'parameterNotFoundAction'), action, ['Deny', 'Allow']));
  return errors;
}

/** Most conditions that one webhook or policy may have. */
const MAX_CONDITIONS = 64;

export function validateMatchConditions(
  conditions: readonly MatchCondition[] | undefined,
  path: string,
  scope: AdmissionScope = {},
): FieldError[] {
  const all = conditions ?? [];
  if (all.length === 0) return [];
  const environment = admissionEnvironment(scope);
  const errors = all.flatMap(({ name = '', expression = '' }, i) => {
    const at = (field: string) => child(index(path, i), field);
    const wrong =
      expression.trim() === ''
        ? [required(at('expression'))]
        : expressionErrors(compileFor(environment, expression.trim(), [BOOL]), at('expression'));
    wrong.push(...(name === '' ? [required(at('name'))] : validateQualifiedName(name, at('name'))));
    if (name !== '' && all.findIndex((other) => other.name === name) < i)
      wrong.push(duplicate(at('name'), name));
    return wrong;
  });
  return all.length > MAX_CONDITIONS ? [tooMany(path, all.length, MAX_CONDITIONS), ...errors] : errors;
}

export const expressionErrors = (expression: Expression, path: string): FieldError[] =>
  'error' in expression ? [invalid(path, expression.source, expression.error)] : [];

const RESERVED = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

export function validateVariables(
  variables: readonly Variable[],
  compiled: ReadonlyMap<string, Expression>,
  path: string,
): FieldError[] {
  return variables.flatMap(({ name = '', expression = '' }, i) => {
    const at = (field: string) => child(index(path, i), field);
    const errors: FieldError[] = [];
    if (name.trim() === '') errors.push(required(at('name'), 'name is not specified'));
    else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) || RESERVED.has(name))
      errors.push(invalid(at('name'), name, 'name is not a valid CEL identifier'));
    if (expression.trim() === '') errors.push(required(at('expression'), 'expression is not specified'));
    else errors.push(...expressionErrors(compiled.get(name)!, at('expression')));
    return errors;
  });
}

/** What is wrong with an expression that has to be there. */
export function validateExpression(
  environment: Environment,
  source: string | undefined,
  path: string,
  wanted: readonly Type[],
  missing: string,
): FieldError[] {
  if (!source || source.trim() === '') return [required(path, missing)];
  return expressionErrors(compileFor(environment, source, wanted), path);
}
