/** Validation of how a kind's versions are converted. */
import type { CustomResourceConversion, WebhookClientConfig } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { dns1035Label, portNumber } from '../../machinery/names.js';

/** The forms of ConversionReview that the server speaks. */
export const REVIEW_VERSIONS = ['v1', 'v1beta1'];

export function conversionErrors(
  conversion: CustomResourceConversion | undefined,
  path: string,
): FieldError[] {
  if (!conversion) return [];
  const at = (...names: string[]) => child(path, ...names);
  const { strategy, webhook } = conversion;
  if (strategy !== 'None' && strategy !== 'Webhook')
    return [
      strategy ? notSupported(at('strategy'), strategy, ['None', 'Webhook']) : required(at('strategy')),
    ];
  if (strategy === 'None')
    return webhook?.clientConfig
      ? [forbidden(at('webhookClientConfig'), 'should not be set when strategy is not set to Webhook')]
      : [];
  const errors: FieldError[] = [];
  if (!webhook?.clientConfig)
    errors.push(required(at('webhookClientConfig'), 'required when strategy is set to Webhook'));
  else errors.push(...clientErrors(webhook.clientConfig, at('webhookClientConfig')));
  return [
    ...errors,
    ...reviewErrors(webhook?.conversionReviewVersions ?? [], at('conversionReviewVersions')),
  ];
}

function reviewErrors(versions: string[], path: string): FieldError[] {
  if (versions.length === 0) return [required(path)];
  const errors: FieldError[] = [];
  versions.forEach((version, i) => {
    if (versions.indexOf(version) < i) errors.push(invalid(index(path, i), version, 'duplicate version'));
    const problems = dns1035Label(version);
    if (problems.length > 0) errors.push(invalid(index(path, i), version, problems.join(',')));
  });
  if (!versions.some((version) => REVIEW_VERSIONS.includes(version)))
    errors.push(invalid(path, versions, `must include at least one of ${REVIEW_VERSIONS.join(', ')}`));
  return errors;
}

function clientErrors({ url, service }: WebhookClientConfig, path: string): FieldError[] {
  if ((url === undefined) === (service === undefined))
    return [required(path, 'exactly one of url or service is required')];
  if (url !== undefined) return urlErrors(url, child(path, 'url'));
  const errors: FieldError[] = [];
  const at = child(path, 'service');
  if (!service?.name) errors.push(required(child(at, 'name'), 'service name is required'));
  if (!service?.namespace) errors.push(required(child(at, 'namespace'), 'service namespace is required'));
  if (service?.path !== undefined && !service.path.startsWith('/'))
    errors.push(invalid(child(at, 'path'), service.path, "must start with a '/'"));
  for (const message of portNumber(service?.port ?? 443))
    errors.push(invalid(child(at, 'port'), service?.port, `port is not valid: ${message}`));
  return errors;
}

function urlErrors(text: string, path: string): FieldError[] {
  if (!URL.canParse(text)) return [required(path, `url must be a valid URL: ${text}`)];
  const { protocol, host, username, search, hash } = new URL(text);
  const errors: FieldError[] = [];
  const fail = (value: string, why: string) => errors.push(invalid(path, value, why));
  if (protocol !== 'https:')
    fail(
      protocol.slice(0, -1),
      "'https' is the only allowed URL scheme; desired format: https://host[/path]",
    );
  if (host === '') fail(host, 'host must be specified; desired format: https://host[/path]');
  if (username !== '') fail(username, 'user information is not permitted in the URL');
  if (hash !== '') fail(hash.slice(1), 'fragments are not permitted in the URL');
  if (search !== '') fail(search.slice(1), 'query parameters are not permitted in the URL');
  return errors;
}
