/** Validation of how webhooks are reached (apiserver `util/webhook`). */
import type { ServiceReference, WebhookClientConfig } from '#types';
import { child, type FieldError, invalid, required } from './field.js';
import { dns1123Subdomain, portNumber } from './names.js';

/** Either a URL or a Service; of the latter's port the default is filled in. */
export function validateWebhookClient({ url, service }: WebhookClientConfig, path: string): FieldError[] {
  if ((url === undefined) === (service === undefined))
    return [required(path, 'exactly one of url or service is required')];
  return url === undefined
    ? validateService(service!, child(path, 'service'))
    : validateUrl(url, child(path, 'url'));
}

function validateService(service: ServiceReference, path: string): FieldError[] {
  const errors: FieldError[] = [];
  // Upstream's callers swap the two: what is missing is told of the other.
  if (!service.namespace) errors.push(required(child(path, 'name')));
  if (!service.name) errors.push(required(child(path, 'namespace')));
  const port = service.port ?? 443;
  const wrong = portNumber(port);
  if (wrong.length > 0)
    errors.push(invalid(child(path, 'port'), port, `port is not valid: ${wrong.join(', ')}`));
  return [...errors, ...validatePath(service.path ?? '', child(path, 'path'))];
}

function validatePath(text: string, path: string): FieldError[] {
  const fail = (why: string) => invalid(path, text, why);
  if (text === '' || text === '/') return [];
  if (text === '//') return [fail('segment[0] may not be empty')];
  const steps = text.slice(1).replace(/\/$/, '').split('/');
  return [
    ...(text.startsWith('/') ? [] : [fail("must start with a '/'")]),
    ...steps.flatMap((step, i) =>
      step === ''
        ? [fail(`segment[${i}] may not be empty`)]
        : dns1123Subdomain(step).map((why) => fail(`segment[${i}]: ${why}`)),
    ),
  ];
}

function validateUrl(text: string, path: string): FieldError[] {
  const form = '; desired format: https://host[/path]';
  const scheme = `'https' is the only allowed URL scheme${form}`;
  const host = `host must be specified${form}`;
  // A path alone is a URL as well, without a scheme and a host.
  if (!/^[a-z][a-z0-9+.-]*:/i.test(text)) return [invalid(path, '', scheme), invalid(path, '', host)];
  if (!URL.canParse(text)) return [required(path, `url must be a valid URL: ${text}${form}`)];
  const url = new URL(text);
  const errors: FieldError[] = [];
  const refuse = (value: string, why: string) => errors.push(invalid(path, value, why));
  if (url.protocol !== 'https:') refuse(url.protocol.slice(0, -1), scheme);
  if (url.host === '') refuse(url.host, host);
  const user = url.password === '' ? url.username : `${url.username}:${url.password}`;
  if (user !== '') refuse(user, 'user information is not permitted in the URL');
  if (url.hash !== '') refuse(url.hash.slice(1), 'fragments are not permitted in the URL');
  if (url.search !== '') refuse(url.search.slice(1), 'query parameters are not permitted in the URL');
  return errors;
}
