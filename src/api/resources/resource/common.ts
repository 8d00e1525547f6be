/** What the kinds of dynamic resource allocation share: names, and lists with a bound. */
import type { DeviceSelector, DeviceToleration } from '#types';
import { compileSelector } from '../../cel/index.js';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
} from '../../machinery/field.js';
import { dns1123Subdomain, labelValue } from '../../machinery/names.js';
import { checked, validateDns1123Label, validateQualifiedName } from '../../machinery/validation.js';

export const DEVICE_REQUESTS_MAX = 32;
export const DEVICE_CONFIG_MAX = 32;
const SELECTORS_MAX = 32;
const EXPRESSION_MAX_BYTES = 10 * 1024;
const DOMAIN_MAX_BYTES = 63;
const ID_MAX_BYTES = 32;
const POOL_NAME_MAX_BYTES = 253;
const PARAMETERS_MAX_BYTES = 10 * 1024;

type Validator<T> = (item: T, path: string) => FieldError[];

export function validateSlice<T>(
  items: readonly T[] | undefined,
  max: number,
  path: string,
  validate: Validator<T>,
): FieldError[] {
  const list = items ?? [];
  if (list.length > max) return [tooMany(path, list.length, max)];
  return list.flatMap((item, i) => validate(item, index(path, i)));
}

/** A slice whose items have different keys. */
export function validateSet<T>(
  items: readonly T[] | undefined,
  max: number,
  path: string,
  validate: Validator<T>,
  key: (item: T) => string,
): FieldError[] {
  const errors = validateSlice(items, max, path, validate);
  if ((items?.length ?? 0) > max) return errors;
  const seen = new Set<string>();
  (items ?? []).forEach((item, i) => {
    const value = key(item);
    if (seen.has(value)) errors.push(duplicate(index(path, i), value));
    seen.add(value);
  });
  return errors;
}

export const validateDeviceName = (name: string | undefined, path: string): FieldError[] =>
  validateDns1123Label(name ?? '', path);

/** The rules of a CSI driver's name. */
export function validateDriverName(name: string | undefined, path: string): FieldError[] {
  if (!name) return [required(path)];
  const errors = name.length > DOMAIN_MAX_BYTES ? [tooLong(path, DOMAIN_MAX_BYTES)] : [];
  return [...errors, ...dns1123Subdomain(name.toLowerCase()).map((message) => invalid(path, name, message))];
}

export function validatePoolName(name: string | undefined, path: string): FieldError[] {
  if (!name) return [required(path)];
  return [
    ...(name.length > POOL_NAME_MAX_BYTES ? [tooLong(path, POOL_NAME_MAX_BYTES)] : []),
    ...name.split('/').flatMap((part) => checked(path, part, dns1123Subdomain)),
  ];
}

export const validateClassName = (name: string, path: string): FieldError[] =>
  name === '' ? [required(path)] : checked(path, name, dns1123Subdomain);

const C_IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
const C_MESSAGE =
  "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";

function validateIdentifier(id: string, path: string): FieldError[] {
  const errors = id.length > ID_MAX_BYTES ? [tooLong(path, ID_MAX_BYTES)] : [];
  if (!C_IDENTIFIER.test(id)) errors.push(invalid(path, id, C_MESSAGE));
  return errors;
}

/** The name of an attribute or capacity: an identifier, with or without a domain before it. */
export function validateAttributeName(name: string, path: string): FieldError[] {
  const parts = name.split('/');
  if (parts.length === 1) return validateIdentifier(name, path);
  if (parts.length > 2) return [invalid(path, name, 'a valid name has at most one slash')];
  const [domain, id] = parts as [string, string];
  return [
    ...(domain === ''
      ? [invalid(path, '', 'the domain must not be empty')]
      : validateDriverName(domain, path)),
    ...(id === '' ? [invalid(path, '', 'the name must not be empty')] : validateIdentifier(id, path)),
  ];
}

export const validateFullName = (name: string, path: string): FieldError[] => [
  ...validateAttributeName(name, path),
  ...(name.includes('/')
    ? []
    : [invalid(path, name, 'a fully qualified name must be a domain and a name separated by a slash')]),
];

export const validateSelectors = (selectors: DeviceSelector[] | undefined, path: string): FieldError[] =>
  validateSlice(selectors, SELECTORS_MAX, path, ({ cel }, at) => {
    if (!cel) return [required(child(at, 'cel'))];
    const { expression = '' } = cel;
    const where = child(at, 'cel.expression');
    if (Buffer.byteLength(expression) > EXPRESSION_MAX_BYTES) return [tooLong(where, EXPRESSION_MAX_BYTES)];
    const compiled = compileSelector(expression);
    return typeof compiled === 'string' ? [invalid(where, expression, compiled)] : [];
  });

const OPERATORS = ['Equal', 'Exists'];
export const TAINT_EFFECTS = ['NoExecute', 'NoSchedule', 'None'];

export function validateToleration(toleration: DeviceToleration, path: string): FieldError[] {
  const { key = '', operator = '', value = '', effect = '' } = toleration;
  const errors = key === '' ? [] : validateQualifiedName(key, child(path, 'key'));
  if (operator === 'Exists') {
    if (value !== '')
      errors.push(invalid(child(path, 'value'), value, 'must be empty for operator `Exists`'));
  } else if (operator === 'Equal') errors.push(...checked(child(path, 'value'), value, labelValue));
  else if (operator === '') errors.push(required(child(path, 'operator')));
  else errors.push(notSupported(child(path, 'operator'), operator, OPERATORS));
  if (effect !== '' && !TAINT_EFFECTS.includes(effect))
    errors.push(notSupported(child(path, 'effect'), effect, TAINT_EFFECTS));
  return errors;
}

/** A driver's own parameters: a JSON object of bounded size. */
export function validateRaw(value: unknown, path: string, maxBytes = PARAMETERS_MAX_BYTES): FieldError[] {
  if (value === undefined || value === null) return [required(path)];
  if (Buffer.byteLength(JSON.stringify(value)) > maxBytes) return [tooLong(path, maxBytes)];
  if (typeof value !== 'object' || Array.isArray(value))
    return [invalid(path, '<value omitted>', 'must be a valid JSON object')];
  return [];
}

export function validateConfiguration(
  { opaque }: { opaque?: { driver: string; parameters: unknown } },
  path: string,
): FieldError[] {
  const at = child(path, 'opaque');
  if (!opaque) return [required(at)];
  return [
    ...validateDriverName(opaque.driver ?? '', child(at, 'driver')),
    ...validateRaw(opaque.parameters, child(at, 'parameters')),
  ];
}
