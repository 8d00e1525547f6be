/** What webhooks of both kinds have: whom to call, for what, and how to fail. */
import type { MutatingWebhook, RuleWithOperations, ValidatingWebhook, WebhookClientConfig } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { dns1123Subdomain, portNumber } from '../../machinery/names.js';
import { validateLabelSelector } from '../../machinery/validation.js';

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
  for (const rule of webhook.rules ?? []) rule.scope ??= '*';
}

export function validateWebhooks(webhooks: Webhook[] | undefined): FieldError[] {
  const all = webhooks ?? [];
  return all.flatMap((webhook, i) => {
    const at = index('webhooks', i);
    const errors = validateWebhook(webhook, at);
    if (all.findIndex(({ name }) => name === webhook.name) < i)
      errors.push(duplicate(child(at, 'name'), webhook.name));
    return errors;
  });
}

function validateWebhook(webhook: Webhook, path: string): FieldError[] {
  const at = (field: string) => child(path, field);
  const { name = '', failurePolicy, matchPolicy, sideEffects, timeoutSeconds, rules } = webhook;
  const errors = validateName(name, at('name'));
  errors.push(...validateVersions(webhook.admissionReviewVersions ?? [], at('admissionReviewVersions')));
  (rules ?? []).forEach((rule, i) => {
    errors.push(...validateRule(rule, index(at('rules'), i)));
  });
  if (failurePolicy && !['Fail', 'Ignore'].includes(failurePolicy))
    errors.push(notSupported(at('failurePolicy'), failurePolicy, ['Fail', 'Ignore']));
  if (matchPolicy && !['Equivalent', 'Exact'].includes(matchPolicy))
    errors.push(notSupported(at('matchPolicy'), matchPolicy, ['Equivalent', 'Exact']));
  if (!sideEffects) errors.push(required(at('sideEffects'), 'must specify one of None, NoneOnDryRun'));
  else if (!['None', 'NoneOnDryRun'].includes(sideEffects))
    errors.push(notSupported(at('sideEffects'), sideEffects, ['None', 'NoneOnDryRun']));
  if (timeoutSeconds !== undefined && (timeoutSeconds > 30 || timeoutSeconds < 1))
    errors.push(
      invalid(at('timeoutSeconds'), timeoutSeconds, 'the timeout value must be between 1 and 30 seconds'),
    );
  errors.push(
    ...validateLabelSelector(webhook.namespaceSelector, at('namespaceSelector')),
    ...validateLabelSelector(webhook.objectSelector, at('objectSelector')),
    ...validateClient(webhook.clientConfig ?? {}, at('clientConfig')),
  );
  if ('reinvocationPolicy' in webhook && webhook.reinvocationPolicy) {
    const known = ['IfNeeded', 'Never'];
    if (!known.includes(webhook.reinvocationPolicy))
      errors.push(notSupported(at('reinvocationPolicy'), webhook.reinvocationPolicy, known));
  }
  return errors;
}

function validateName(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)];
  const errors = dns1123Subdomain(name).map((message) => invalid(path, name, message));
  if (errors.length === 0 && name.split('.').length < 3)
    errors.push(invalid(path, name, 'should be a domain with at least three segments separated by dots'));
  return errors;
}

function validateVersions(versions: string[], path: string): FieldError[] {
  if (versions.length === 0) return [required(path, `must specify one of ${VERSIONS.join(', ')}`)];
  if (versions.some((version) => VERSIONS.includes(version))) return [];
  return [invalid(path, versions, `must include at least one of ${VERSIONS.join(', ')}`)];
}

function validateRule(rule: RuleWithOperations, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const lists = ['apiGroups', 'apiVersions', 'resources'] as const;
  for (const field of lists) {
    const list = rule[field] ?? [];
    if (list.length === 0) errors.push(required(child(path, field)));
    else if (field !== 'resources' && list.length > 1 && list.includes('*'))
      errors.push(invalid(child(path, field), list, "if '*' is present, must not specify other values"));
    list.forEach((value, i) => {
      if (value === '' && field !== 'apiGroups') errors.push(required(index(child(path, field), i)));
    });
  }
  const operations = rule.operations ?? [];
  const at = child(path, 'operations');
  if (operations.length === 0) errors.push(required(at));
  if (operations.length > 1 && operations.includes('*'))
    errors.push(invalid(at, operations, "if '*' is present, must not specify other operations"));
  operations.forEach((operation, i) => {
    if (!OPERATIONS.includes(operation)) errors.push(notSupported(index(at, i), operation, OPERATIONS));
  });
  if (rule.scope !== undefined && !SCOPES.includes(rule.scope))
    errors.push(notSupported(child(path, 'scope'), rule.scope, SCOPES));
  return errors;
}

function validateClient({ url, service }: WebhookClientConfig, path: string): FieldError[] {
  if ((url === undefined) === (service === undefined))
    return [required(path, 'exactly one of url or service is required')];
  if (url !== undefined) return validateUrl(url, child(path, 'url'));
  const at = child(path, 'service');
  const errors: FieldError[] = [];
  if (!service!.name) errors.push(required(child(at, 'name'), 'service name is required'));
  if (!service!.namespace) errors.push(required(child(at, 'namespace'), 'service namespace is required'));
  const port = service!.port ?? 443;
  for (const message of portNumber(port))
    errors.push(invalid(child(at, 'port'), port, `port is not valid: ${message}`));
  return errors;
}

function validateUrl(text: string, path: string): FieldError[] {
  const form = '; desired format: https://host[/path]';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return [required(path, `url must be a valid URL${form}`)];
  }
  const errors: FieldError[] = [];
  if (url.protocol !== 'https:')
    errors.push(invalid(path, url.protocol.slice(0, -1), `'https' is the only allowed URL scheme${form}`));
  if (url.host === '') errors.push(invalid(path, url.host, `host must be specified${form}`));
  if (url.username !== '')
    errors.push(invalid(path, url.username, 'user information is not permitted in the URL'));
  if (url.hash !== '')
    errors.push(invalid(path, url.hash.slice(1), 'fragments are not permitted in the URL'));
  if (url.search !== '')
    errors.push(invalid(path, url.search.slice(1), 'query parameters are not permitted in the URL'));
  return errors;
}
