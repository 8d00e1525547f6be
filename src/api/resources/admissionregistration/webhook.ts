/** What webhooks of both kinds have: whom to call, for what, and how to fail. */
import type { MutatingWebhook, RuleWithOperations, ValidatingWebhook } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { dns1035Label, dns1123Subdomain } from '../../machinery/names.js';
import { validateLabelSelector } from '../../machinery/validation.js';
import { validateWebhookClient } from '../../machinery/webhook-client.js';
import { validateMatchConditions } from './policy-validation.js';

type Webhook = MutatingWebhook | ValidatingWebhook;

const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const SCOPES = ['*', 'Cluster', 'Namespaced'];
const VERSIONS = ['v1', 'v1beta1'];

export function defaultWebhook(webhook: Webhook): void {
  webhook.failurePolicy ??= 'Fail';
  webhook.matchPolicy ??= 'Equivalent';
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  webhook.timeoutSeconds ??= 10;
  webhook.clientConfig ??= {};
  if (webhook.clientConfig.service) webhook.clientConfig.service.port ??= 443;
  for (const rule of webhook.rules ?? []) defaultRule(rule);
}

export function defaultRule(rule: RuleWithOperations): void {
  rule.scope ??= '*';
}

export function validateWebhooks(webhooks: Webhook[] | undefined): FieldError[] {
  const all = webhooks ?? [];
  return all.flatMap((webhook, i) => {
    const at = index('webhooks', i);
    const versions = webhook.admissionReviewVersions ?? [];
    const errors = [
      ...validateWebhook(webhook, at),
      ...validateVersions(versions, child(at, 'admissionReviewVersions')),
    ];
    if (webhook.name && all.findIndex(({ name }) => name === webhook.name) < i)
      errors.push(duplicate(child(at, 'name'), webhook.name));
    return errors;
  });
}

function validateWebhook(webhook: Webhook, path: string): FieldError[] {
  const at = (field: string) => child(path, field);
  const { name = '', failurePolicy, matchPolicy, sideEffects, timeoutSeconds, rules } = webhook;
  const errors = validateName(name, at('name'));
  (rules ?? []).forEach((rule, i) => {
    errors.push(...validateRule(rule, index(at('rules'), i)));
  });
  if (failurePolicy !== undefined && !['Fail', 'Ignore'].includes(failurePolicy))
    errors.push(notSupported(at('failurePolicy'), failurePolicy, ['Fail', 'Ignore']));
  if (matchPolicy !== undefined && !['Equivalent', 'Exact'].includes(matchPolicy))
    errors.push(notSupported(at('matchPolicy'), matchPolicy, ['Equivalent', 'Exact']));
  if (sideEffects === undefined)
    errors.push(required(at('sideEffects'), 'must specify one of None, NoneOnDryRun'));
  else if (!['None', 'NoneOnDryRun'].includes(sideEffects))
    errors.push(notSupported(at('sideEffects'), sideEffects, ['None', 'NoneOnDryRun']));
  if (timeoutSeconds !== undefined && (timeoutSeconds > 30 || timeoutSeconds < 1))
    errors.push(
      invalid(at('timeoutSeconds'), timeoutSeconds, 'the timeout value must be between 1 and 30 seconds'),
    );
  errors.push(
    ...validateLabelSelector(webhook.namespaceSelector, at('namespaceSelector')),
    ...validateLabelSelector(webhook.objectSelector, at('objectSelector')),
  );
  const again = 'reinvocationPolicy' in webhook ? webhook.reinvocationPolicy : undefined;
  if (again !== undefined && !['IfNeeded', 'Never'].includes(again))
    errors.push(notSupported(at('reinvocationPolicy'), again, ['IfNeeded', 'Never']));
  errors.push(
    ...validateWebhookClient(webhook.clientConfig ?? {}, at('clientConfig')),
    ...validateMatchConditions(webhook.matchConditions, at('matchConditions')),
  );
  return errors;
}

function validateName(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)];
  const wrong = dns1123Subdomain(name);
  if (wrong.length > 0) return [invalid(path, name, wrong.join(','))];
  return name.split('.').length < 3
    ? [invalid(path, name, 'should be a domain with at least three segments separated by dots')]
    : [];
}

function validateVersions(versions: string[], path: string): FieldError[] {
  if (versions.length === 0) return [required(path, `must specify one of ${VERSIONS.join(', ')}`)];
  const errors = versions.flatMap((version, i) =>
    versions.indexOf(version) < i
      ? [invalid(index(path, i), version, 'duplicate version')]
      : dns1035Label(version).map((message) => invalid(index(path, i), version, message)),
  );
  if (!versions.some((version) => VERSIONS.includes(version)))
    errors.push(invalid(path, versions, `must include at least one of ${VERSIONS.join(', ')}`));
  return errors;
}

export function validateRule(rule: RuleWithOperations, path: string): FieldError[] {
  const { operations = [], apiGroups = [], apiVersions = [], resources = [], scope } = rule;
  const at = child(path, 'operations');
  const errors: FieldError[] = [];
  if (operations.length === 0) errors.push(required(at));
  errors.push(...onlyWildcard(operations, at, 'operations'));
  operations.forEach((operation, i) => {
    if (!OPERATIONS.includes(operation)) errors.push(notSupported(index(at, i), operation, OPERATIONS));
  });
  if (apiGroups.length === 0) errors.push(required(child(path, 'apiGroups')));
  errors.push(...onlyWildcard(apiGroups, child(path, 'apiGroups'), 'API groups'));
  if (apiVersions.length === 0) errors.push(required(child(path, 'apiVersions')));
  errors.push(...onlyWildcard(apiVersions, child(path, 'apiVersions'), 'API versions'));
  apiVersions.forEach((version, i) => {
    if (version === '') errors.push(required(index(child(path, 'apiVersions'), i)));
  });
  errors.push(...validateResources(resources, child(path, 'resources')));
  if (scope !== undefined && !SCOPES.includes(scope))
    errors.push(notSupported(child(path, 'scope'), scope, SCOPES));
  return errors;
}

const onlyWildcard = (list: readonly string[], path: string, what: string): FieldError[] =>
  list.length > 1 && list.includes('*')
    ? [invalid(path, list, `if '*' is present, must not specify other ${what}`)]
    : [];

function validateResources(resources: readonly string[], path: string): FieldError[] {
  const errors: FieldError[] = resources.length === 0 ? [required(path)] : [];
  const allOf = new Set<string>();
  const ofAll = new Set<string>();
  resources.forEach((each, i) => {
    const slash = each.indexOf('/');
    if (each === '') errors.push(required(index(path, i)));
    if (slash < 0) return;
    const [name, sub] = [each.slice(0, slash), each.slice(slash + 1)];
    if (allOf.has(name))
      errors.push(invalid(index(path, i), each, `if '${name}/*' is present, must not specify ${each}`));
    if (ofAll.has(sub))
      errors.push(invalid(index(path, i), each, `if '*/${sub}' is present, must not specify ${each}`));
    if (sub === '*') allOf.add(name);
    if (name === '*') ofAll.add(sub);
  });
  if (resources.length > 1 && resources.includes('*/*'))
    errors.push(invalid(path, resources, "if '*/*' is present, must not specify other resources"));
  // Upstream looks at the last of those without a subresource alone.
  const last = resources.findLast((each) => each !== '' && !each.includes('/'));
  if (resources.includes('*') && last !== '*')
    errors.push(
      invalid(path, resources, "if '*' is present, must not specify other resources without subresources"),
    );
  return errors;
}
