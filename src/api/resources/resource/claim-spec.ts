/** The specification that ResourceClaims and ResourceClaimTemplates have. */
import type {
  DeviceClaim,
  DeviceConstraint,
  DeviceRequest,
  DeviceSubRequest,
  ExactDeviceRequest,
  ResourceClaimSpec,
} from '#types';
import { child, type FieldError, invalid, notSupported, required } from '../../machinery/field.js';
import { validateDns1123Label } from '../../machinery/validation.js';
import {
  DEVICE_CONFIG_MAX,
  DEVICE_REQUESTS_MAX,
  validateClassName,
  validateConfiguration,
  validateFullName,
  validateSelectors,
  validateSet,
  validateSlice,
  validateToleration,
} from './common.js';

const CONSTRAINTS_MAX = 32;
const FIRST_AVAILABLE_MAX = 8;
const TOLERATIONS_MAX = 16;
const MODES = ['All', 'ExactCount'];

export function defaultClaimSpec({ devices }: ResourceClaimSpec): void {
  for (const request of devices?.requests ?? [])
    for (const part of [request.exactly, ...(request.firstAvailable ?? [])]) if (part) defaultRequest(part);
}

function defaultRequest(request: ExactDeviceRequest | DeviceSubRequest): void {
  request.allocationMode ||= 'ExactCount';
  if (request.allocationMode === 'ExactCount') request.count ||= 1;
  for (const toleration of request.tolerations ?? []) toleration.operator ||= 'Equal';
}

/** The names that constraints, configurations and results may refer to: `request` and `request/subrequest`. */
export function requestNames(devices: DeviceClaim | undefined): Set<string> {
  const names = new Set<string>();
  for (const { name, firstAvailable } of devices?.requests ?? []) {
    names.add(name);
    for (const sub of firstAvailable ?? []) names.add(`${name}/${sub.name}`);
  }
  return names;
}

const NOT_A_REQUEST =
  "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

export function validateRequestRef(
  given: string | undefined,
  path: string,
  names: Set<string>,
): FieldError[] {
  const name = given ?? '';
  const segments = name.split('/');
  if (segments.length > 2) return [invalid(path, name, NOT_A_REQUEST)];
  const errors = segments.flatMap((segment) => validateDns1123Label(segment, path));
  return names.has(name) ? errors : [...errors, invalid(path, name, NOT_A_REQUEST)];
}

export const validateRequestRefs = (
  requests: string[] | undefined,
  path: string,
  names: Set<string>,
): FieldError[] =>
  validateSet(
    requests,
    DEVICE_REQUESTS_MAX,
    child(path, 'requests'),
    (name, at) => validateRequestRef(name, at, names),
    (name) => name,
  );

export function validateClaimSpec({ devices }: ResourceClaimSpec, path: string): FieldError[] {
  const at = child(path, 'devices');
  const names = requestNames(devices);
  return [
    ...validateSet(
      devices?.requests,
      DEVICE_REQUESTS_MAX,
      child(at, 'requests'),
      validateRequest,
      ({ name }) => name,
    ),
    ...validateSlice(devices?.constraints, CONSTRAINTS_MAX, child(at, 'constraints'), (constraint, where) =>
      validateConstraint(constraint, where, names),
    ),
    ...validateSlice(devices?.config, DEVICE_CONFIG_MAX, child(at, 'config'), (config, where) => [
      ...validateRequestRefs(config.requests, where, names),
      ...validateConfiguration(config, where),
    ]),
  ];
}

function validateRequest({ name, exactly, firstAvailable }: DeviceRequest, path: string): FieldError[] {
  const errors = validateDns1123Label(name ?? '', child(path, 'name'));
  const one = 'exactly one of `exactly` or `firstAvailable` is required';
  if (exactly && firstAvailable?.length)
    return [...errors, invalid(path, null, `${one}, but multiple fields are set`)];
  if (exactly) return [...errors, ...validatePart(exactly, child(path, 'exactly'))];
  if (!firstAvailable?.length) return [...errors, required(path, one)];
  return [
    ...errors,
    ...validateSet(
      firstAvailable,
      FIRST_AVAILABLE_MAX,
      child(path, 'firstAvailable'),
      (sub, at) => [...validateDns1123Label(sub.name ?? '', child(at, 'name')), ...validatePart(sub, at)],
      (sub) => sub.name,
    ),
  ];
}

/** What exact requests and subrequests have in common. */
function validatePart(part: ExactDeviceRequest | DeviceSubRequest, path: string): FieldError[] {
  const { deviceClassName = '', selectors, allocationMode = '', count = 0, tolerations } = part;
  const errors = [
    ...validateClassName(deviceClassName, child(path, 'deviceClassName')),
    ...validateSelectors(selectors, child(path, 'selectors')),
  ];
  if (allocationMode === 'All') {
    if (count !== 0)
      errors.push(invalid(child(path, 'count'), count, "must not be specified when allocationMode is 'All'"));
  } else if (allocationMode === 'ExactCount') {
    if (count <= 0) errors.push(invalid(child(path, 'count'), count, 'must be greater than zero'));
  } else errors.push(notSupported(child(path, 'allocationMode'), allocationMode, MODES));
  return [
    ...errors,
    ...validateSlice(tolerations, TOLERATIONS_MAX, child(path, 'tolerations'), validateToleration),
  ];
}

function validateConstraint(constraint: DeviceConstraint, path: string, names: Set<string>): FieldError[] {
  const { matchAttribute, distinctAttribute } = constraint;
  const errors = validateRequestRefs(constraint.requests, path, names);
  if (matchAttribute !== undefined)
    errors.push(...validateFullName(matchAttribute, child(path, 'matchAttribute')));
  else if (distinctAttribute !== undefined)
    errors.push(...validateFullName(distinctAttribute, child(path, 'distinctAttribute')));
  else
    errors.push(
      required(
        path,
        'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set',
      ),
    );
  return errors;
}
