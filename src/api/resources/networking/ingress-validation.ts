/** Validation of Ingresses and IngressClasses (upstream `pkg/apis/networking/validation`). */
import { isIP } from 'node:net';
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressRule,
  IngressTLS,
  TypedLocalObjectReference,
} from '#types';
import {
  child,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
  tooLong,
} from '../../machinery/field.js';
import { validateIp } from '../../machinery/ip.js';
import {
  dns1035Label,
  dns1123Label,
  dns1123Subdomain,
  pathSegment,
  portName,
  portNumber,
} from '../../machinery/names.js';
import { checked } from '../../machinery/validation.js';

const CLASS = 'kubernetes.io/ingress.class';
const PATH_TYPES = ['Exact', 'ImplementationSpecific', 'Prefix'];
const MAX_CONTROLLER = 250;

export function validateIngress({ spec }: Ingress): FieldError[] {
  const errors: FieldError[] = [];
  if (!spec.rules?.length && !spec.defaultBackend)
    errors.push(invalid('spec', spec.rules ?? null, 'either `defaultBackend` or `rules` must be specified'));
  if (spec.defaultBackend) errors.push(...validateBackend(spec.defaultBackend, 'spec.defaultBackend'));
  (spec.rules ?? []).forEach((rule, i) => {
    errors.push(...validateRule(rule, index('spec.rules', i)));
  });
  (spec.tls ?? []).forEach((tls, i) => {
    errors.push(...validateTls(tls, index('spec.tls', i)));
  });
  if (spec.ingressClassName !== undefined)
    errors.push(...checked('spec.ingressClassName', spec.ingressClassName, dns1123Subdomain));
  return errors;
}

/** On creation alone: the old annotation may not name another class. */
export function validateNewIngress({ metadata, spec }: Ingress): FieldError[] {
  const annotated = metadata.annotations?.[CLASS];
  if (annotated === undefined || spec.ingressClassName === undefined || annotated === spec.ingressClassName)
    return [];
  return [
    invalid(`annotations.${CLASS}`, annotated, 'must match `ingressClassName` when both are specified'),
  ];
}

const WILDCARD = /^\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function validateHost(host: string, path: string): FieldError[] {
  if (!host.includes('*')) return checked(path, host, dns1123Subdomain);
  return WILDCARD.test(host)
    ? []
    : [
        invalid(
          path,
          host,
          `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
        ),
      ];
}

function validateTls({ hosts, secretName }: IngressTLS, path: string): FieldError[] {
  return [
    ...(hosts ?? []).flatMap((host, i) => validateHost(host, index(child(path, 'hosts'), i))),
    ...(secretName ? checked(child(path, 'secretName'), secretName, dns1123Subdomain) : []),
  ];
}

function validateRule({ host, http }: IngressRule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const at = child(path, 'host');
  if (host) {
    if (isIP(host) !== 0) errors.push(invalid(at, host, 'must be a DNS name, not an IP address'));
    errors.push(...validateHost(host, at));
  }
  if (!http) return errors;
  const paths = child(path, 'http', 'paths');
  if (!http.paths?.length) errors.push(required(paths));
  (http.paths ?? []).forEach((one, i) => {
    errors.push(...validatePath(one, index(paths, i)));
  });
  return errors;
}

function validatePath({ path = '', pathType, backend }: HTTPIngressPath, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const field = child(at, 'path');
  const wrong = (detail: string) => errors.push(invalid(field, path, detail));
  if (!pathType) return [required(child(at, 'pathType'), 'pathType must be specified')];
  if (!PATH_TYPES.includes(pathType)) errors.push(notSupported(child(at, 'pathType'), pathType, PATH_TYPES));
  else if (pathType === 'ImplementationSpecific') {
    if (path !== '' && !path.startsWith('/')) wrong('must be an absolute path');
  } else {
    if (!path.startsWith('/')) wrong('must be an absolute path');
    for (const part of ['//', '/./', '/../', '%2f', '%2F'])
      if (path.includes(part)) wrong(`must not contain '${part}'`);
    for (const end of ['/..', '/.']) if (path.endsWith(end)) wrong(`cannot end with '${end}'`);
  }
  return [...errors, ...validateBackend(backend ?? {}, child(at, 'backend'))];
}

function validateBackend({ resource, service }: IngressBackend, path: string): FieldError[] {
  if (resource && service) return [invalid(path, '', 'cannot set both resource and service backends')];
  if (resource) return validateReference(resource, child(path, 'resource'));
  if (!service) return [invalid(path, '', 'resource or service backend is required')];
  const at = child(path, 'service');
  const errors = service.name
    ? checked(child(at, 'name'), service.name, dns1035Label)
    : [required(child(at, 'name'))];
  const { name, number } = service.port ?? {};
  if (name && number) errors.push(invalid(path, '', 'cannot set both port name & port number'));
  else if (name) errors.push(...checked(child(at, 'port', 'name'), name, portName));
  else if (number)
    errors.push(
      ...portNumber(number).map((message) => invalid(child(at, 'port', 'number'), number, message)),
    );
  else errors.push(required(path, 'port name or number is required'));
  return errors;
}

function validateReference({ apiGroup, kind, name }: TypedLocalObjectReference, path: string): FieldError[] {
  const needed = (field: string, value: string | undefined) =>
    value
      ? checked(child(path, field), value, pathSegment)
      : [required(child(path, field), `${field} is required`)];
  return [
    ...(apiGroup === undefined ? [] : checked(child(path, 'apiGroup'), apiGroup, dns1123Subdomain)),
    ...needed('kind', kind),
    ...needed('name', name),
  ];
}

const PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";

/** A name such as `example.com/controller`. */
function validateDomainPrefixedPath(value: string, path: string): FieldError[] {
  if (value === '') return [required(path)];
  const slash = value.indexOf('/');
  if (slash <= 0 || slash === value.length - 1)
    return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  const rest = value.slice(slash + 1);
  const errors = checked(path, value.slice(0, slash), dns1123Subdomain);
  if (errors.length > 0) return errors;
  return new RegExp(`^${PATH}$`).test(rest)
    ? []
    : [invalid(path, rest, `Invalid path (regex used for validation is '${PATH}')`)];
}

export function validateIngressClass({ spec }: IngressClass): FieldError[] {
  const controller = spec.controller ?? '';
  const errors: FieldError[] = [];
  if (Buffer.byteLength(controller) > MAX_CONTROLLER) errors.push(tooLong('spec.controller', MAX_CONTROLLER));
  errors.push(...validateDomainPrefixedPath(controller, 'spec.controller'));
  const to = spec.parameters;
  if (!to) return errors;
  const at = 'spec.parameters';
  errors.push(...validateReference(to, at));
  const scopes = ['Cluster', 'Namespace'];
  if (!to.scope) errors.push(required(child(at, 'scope')));
  else if (!scopes.includes(to.scope)) errors.push(notSupported(child(at, 'scope'), to.scope, scopes));
  else if (to.scope === 'Namespace')
    errors.push(
      ...(to.namespace === undefined
        ? [required(child(at, 'namespace'), "`parameters.scope` is set to 'Namespace'")]
        : checked(child(at, 'namespace'), to.namespace, dns1123Label)),
    );
  else if (to.namespace !== undefined)
    errors.push(forbidden(child(at, 'namespace'), "`parameters.scope` is set to 'Cluster'"));
  return errors;
}

export function validateIngressStatus({ status }: Ingress): FieldError[] {
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }, i) => {
    const at = index('status.loadBalancer.ingress', i);
    const errors = ip ? validateIp(ip, child(at, 'ip')) : [];
    if (!hostname) return errors;
    errors.push(...checked(child(at, 'hostname'), hostname, dns1123Subdomain));
    if (isIP(hostname) !== 0)
      errors.push(invalid(child(at, 'hostname'), hostname, 'must be a DNS name, not an IP address'));
    return errors;
  });
}
