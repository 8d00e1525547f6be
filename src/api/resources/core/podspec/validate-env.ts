/** Validation of a container's environment, and of the downward API's references. */
import type {
  ConfigMapKeySelector,
  EnvFromSource,
  EnvVar,
  EnvVarSource,
  FileKeySelector,
  ObjectFieldSelector,
  ResourceFieldSelector,
} from '#types';
import { child, type FieldError, index, invalid, notSupported, required } from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { canonicalQuantity, quantityMilli } from '../../../machinery/quantity.js';
import { checked, validateQualifiedName } from '../../../machinery/validation.js';
import { validateNonReserved } from './paths.js';

/** Fields that an environment variable may take its value from. */
const ENV_FIELDS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

/** Fields that a file of a downwardAPI volume may show. */
export const VOLUME_FIELDS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

/** What `fieldPath` may say at all; each use allows some of these. */
const KNOWN_FIELDS = new Set([...ENV_FIELDS, ...VOLUME_FIELDS]);

const RESOURCES = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

const SIZES = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'];

export function validateEnv(variables: EnvVar[] | undefined, path: string): FieldError[] {
  return (variables ?? []).flatMap((variable, i) => {
    const at = index(path, i);
    const name = variable.name
      ? checked(child(at, 'name'), variable.name, names.envVarName)
      : [required(child(at, 'name'))];
    return [...name, ...(variable.valueFrom ? validateValueFrom(variable, child(at, 'valueFrom')) : [])];
  });
}

function validateValueFrom(variable: EnvVar, path: string): FieldError[] {
  const source: EnvVarSource = variable.valueFrom!;
  const errors: FieldError[] = [];
  let sources = 0;
  const take = <K extends keyof EnvVarSource>(
    kind: K,
    validate: (reference: NonNullable<EnvVarSource[K]>, path: string) => FieldError[],
  ) => {
    if (!source[kind]) return;
    sources++;
    errors.push(...validate(source[kind], child(path, kind)));
  };
  take('fieldRef', (r, p) => validateFieldSelector(r, ENV_FIELDS, p));
  take('resourceFieldRef', (r, p) => validateResourceSelector(r, p, false));
  take('configMapKeyRef', validateKeySelector);
  take('secretKeyRef', validateKeySelector);
  take('fileKeyRef', validateFileKey);
  if (sources === 0)
    errors.push(
      invalid(
        path,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ),
    );
  else if (variable.value) errors.push(invalid(path, '', 'may not be specified when `value` is not empty'));
  else if (sources > 1)
    errors.push(invalid(path, '', 'may not have more than one field specified at a time'));
  return errors;
}

/** `metadata.labels['key']` as its two parts. */
function subscript(fieldPath: string): { field: string; key: string } | undefined {
  const match = /^(.*)\['(.*)'\]$/.exec(fieldPath);
  return match?.[1] ? { field: match[1], key: match[2]! } : undefined;
}

export function validateFieldSelector(
  selector: ObjectFieldSelector,
  allowed: string[],
  path: string,
): FieldError[] {
  if (!selector.apiVersion) return [required(child(path, 'apiVersion'))];
  if (!selector.fieldPath) return [required(child(path, 'fieldPath'))];
  const fieldPath = selector.fieldPath === 'spec.host' ? 'spec.nodeName' : selector.fieldPath;
  const part = subscript(fieldPath);
  if (selector.apiVersion !== 'v1')
    return [
      invalid(
        child(path, 'fieldPath'),
        fieldPath,
        `error converting fieldPath: unsupported pod version: ${selector.apiVersion}`,
      ),
    ];
  if (part) {
    if (part.field === 'metadata.annotations') return validateQualifiedName(part.key.toLowerCase(), path);
    if (part.field === 'metadata.labels') return validateQualifiedName(part.key, path);
  }
  if (part || !KNOWN_FIELDS.has(fieldPath))
    return [
      invalid(
        child(path, 'fieldPath'),
        fieldPath,
        `error converting fieldPath: field label ${part ? 'does not support subscript' : `not supported: ${fieldPath}`}`,
      ),
    ];
  return allowed.includes(fieldPath) ? [] : [notSupported(child(path, 'fieldPath'), fieldPath, allowed)];
}

export function validateResourceSelector(
  selector: ResourceFieldSelector,
  path: string,
  volume: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  const { resource } = selector;
  if (volume && !selector.containerName) errors.push(required(child(path, 'containerName')));
  else if (!resource) errors.push(required(child(path, 'resource')));
  else if (!RESOURCES.includes(resource) && !/^(requests|limits)\.hugepages-/.test(resource))
    errors.push(notSupported(child(path, 'resource'), resource, RESOURCES));
  return [...errors, ...validateDivisor(resource ?? '', selector.divisor, child(path, 'divisor'))];
}

function validateDivisor(resource: string, divisor: string | undefined, path: string): FieldError[] {
  if (!divisor || quantityMilli(divisor) === 0) return [];
  const value = canonicalQuantity(divisor);
  if (resource.endsWith('.cpu'))
    return value === '1m' || value === '1'
      ? []
      : [invalid(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource")];
  if (SIZES.includes(value)) return [];
  const kind = resource.includes('.hugepages-')
    ? 'hugepages'
    : resource.endsWith('.memory')
      ? 'memory'
      : resource.endsWith('.ephemeral-storage')
        ? 'local ephemeral storage'
        : undefined;
  if (kind === undefined) return [];
  return [
    invalid(
      path,
      resource,
      `only divisor's values ${SIZES.join(', ')} are supported with the ${kind} resource`,
    ),
  ];
}

function validateKeySelector(selector: ConfigMapKeySelector, path: string): FieldError[] {
  return [
    ...checked(child(path, 'name'), selector.name ?? '', names.dns1123Subdomain),
    ...(selector.key
      ? checked(child(path, 'key'), selector.key, names.configMapKey)
      : [required(child(path, 'key'))]),
  ];
}

function validateFileKey(selector: FileKeySelector, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!selector.key) errors.push(required(child(path, 'key')));
  else errors.push(...checked(child(path, 'key'), selector.key, names.envVarName));
  if (!selector.volumeName) errors.push(required(child(path, 'volumeName')));
  if (!selector.path) errors.push(required(child(path, 'path')));
  else errors.push(...validateNonReserved(selector.path, child(path, 'path')));
  return errors;
}

export function validateEnvFrom(sources: EnvFromSource[] | undefined, path: string): FieldError[] {
  return (sources ?? []).flatMap((source, i) => {
    const at = index(path, i);
    const errors = source.prefix ? checked(child(at, 'prefix'), source.prefix, names.envVarName) : [];
    let count = 0;
    for (const kind of ['configMapRef', 'secretRef'] as const) {
      const reference = source[kind];
      if (!reference) continue;
      count++;
      const name = child(at, kind, 'name');
      if (!reference.name) errors.push(required(name));
      else
        for (const message of names.dns1123Subdomain(names.maskTrailingDash(reference.name)))
          errors.push(invalid(name, reference.name, message));
    }
    if (count === 0) errors.push(invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (count > 1)
      errors.push(invalid(path, '', 'may not have more than one field specified at a time'));
    return errors;
  });
}
