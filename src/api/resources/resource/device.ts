/** One device of a ResourceSlice. */
import type { Device, DeviceAttribute, DeviceTaint } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  index,
  invalid,
  key,
  notSupported,
  required,
  tooLong,
  tooMany,
} from '../../machinery/field.js';
import { dns1123Subdomain, labelValue } from '../../machinery/names.js';
import { checked, validateDns1123Label, validateQualifiedName } from '../../machinery/validation.js';
import { validateNodeSelector } from '../core/podspec/validate-affinity.js';
import { validateCapacity } from './capacity.js';
import {
  TAINT_EFFECTS,
  validateAttributeName,
  validateDeviceName,
  validateSet,
  validateSlice,
} from './common.js';

const ATTRIBUTES_AND_CAPACITIES_MAX = 32;
const VALUE_MAX_BYTES = 64;
const TAINTS_MAX = 16;
const COUNTERS_MAX = 32;
const CONSUMED_SETS_MAX = 2;
const CONDITIONS_MAX = 4;
/** @see https://semver.org */
const SEMVER =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$/;

/** `perDevice`: the slice leaves it to each device where it can be reached from. */
export function validateDevice(device: Device, path: string, perDevice: boolean): FieldError[] {
  const attributes = Object.entries(device.attributes ?? {});
  const capacities = Object.entries(device.capacity ?? {});
  const errors = validateDeviceName(device.name ?? '', child(path, 'name'));
  const total = attributes.length + capacities.length;
  if (total > ATTRIBUTES_AND_CAPACITIES_MAX)
    errors.push(
      invalid(
        path,
        total,
        `the total number of attributes and capacities must not exceed ${ATTRIBUTES_AND_CAPACITIES_MAX}`,
      ),
    );
  for (const [name, attribute] of attributes) {
    const at = key(child(path, 'attributes'), name);
    errors.push(...validateAttributeName(name, at), ...validateAttribute(attribute, at));
  }
  for (const [name, capacity] of capacities) {
    const at = key(child(path, 'capacity'), name);
    const isShared = device.allowMultipleAllocations === true;
    errors.push(...validateAttributeName(name, at), ...validateCapacity(capacity, at, isShared));
  }
  return [
    ...errors,
    ...validateSlice(device.taints, TAINTS_MAX, child(path, 'taints'), validateTaint),
    ...validateSet(
      device.consumesCounters,
      CONSUMED_SETS_MAX,
      child(path, 'consumesCounters'),
      ({ counterSet, counters }, at) => [
        ...validateSetName(counterSet, child(at, 'counterSet')),
        ...validateCounters(counters, child(at, 'counters')),
      ],
      ({ counterSet }) => counterSet,
    ),
    ...validatePlace(device, path, perDevice),
    ...validateBinding(device, path),
  ];
}

function validateAttribute(attribute: DeviceAttribute, path: string): FieldError[] {
  const { string, version } = attribute;
  const errors: FieldError[] = [];
  const tooLarge = (text: string) => Buffer.byteLength(text) > VALUE_MAX_BYTES;
  if (string !== undefined && tooLarge(string)) errors.push(tooLong(child(path, 'string'), VALUE_MAX_BYTES));
  if (version !== undefined) {
    const at = child(path, 'version');
    if (!SEMVER.test(version))
      errors.push(invalid(at, version, 'must be a string compatible with semver.org spec 2.0.0'));
    if (tooLarge(version)) errors.push(tooLong(at, VALUE_MAX_BYTES));
  }
  const given = [attribute.bool, attribute.int, string, version].filter((value) => value !== undefined);
  if (given.length !== 1)
    errors.push(invalid(path, given.length === 0 ? '' : attribute, 'exactly one value must be specified'));
  return errors;
}

function validateTaint({ key: name, value = '', effect }: DeviceTaint, path: string): FieldError[] {
  const errors = [
    ...validateQualifiedName(name ?? '', child(path, 'key')),
    ...checked(child(path, 'value'), value, labelValue),
  ];
  if (!effect) errors.push(required(child(path, 'effect')));
  else if (!TAINT_EFFECTS.includes(effect))
    errors.push(notSupported(child(path, 'effect'), effect, TAINT_EFFECTS));
  return errors;
}

export function validateCounters(counters: Record<string, unknown> | undefined, path: string): FieldError[] {
  const names = Object.keys(counters ?? {});
  if (names.length === 0) return [required(path)];
  if (names.length > COUNTERS_MAX) return [tooMany(path, names.length, COUNTERS_MAX)];
  return names.flatMap((name) => validateDns1123Label(name, key(path, name)));
}

/** The name of a set of counters. */
export const validateSetName = (name: string | undefined, path: string): FieldError[] =>
  name ? validateDns1123Label(name, path) : [required(path)];

const ONE_PLACE =
  'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec';

function validatePlace(
  { nodeName, nodeSelector, allNodes }: Device,
  path: string,
  perDevice: boolean,
): FieldError[] {
  if (!perDevice)
    return nodeName === undefined && !nodeSelector && allNodes === undefined
      ? []
      : [
          invalid(
            path,
            null,
            '`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec',
          ),
        ];
  const errors: FieldError[] = [];
  const given: string[] = [];
  const at = child(path, 'nodeName');
  if (nodeName === '') errors.push(invalid(at, nodeName, 'must not be empty'));
  else if (nodeName !== undefined) {
    given.push('`nodeName`');
    errors.push(...checked(at, nodeName, dns1123Subdomain));
  }
  if (nodeSelector) {
    given.push('`nodeSelector`');
    errors.push(...validateNodeSelector(nodeSelector, child(path, 'nodeSelector'), false));
  }
  if (allNodes) given.push('`allNodes`');
  if (allNodes === false)
    errors.push(invalid(child(path, 'allNodes'), false, 'must be either unset or set to true'));
  if (given.length === 0) errors.push(required(path, ONE_PLACE));
  if (given.length > 1) errors.push(invalid(path, `{${given.join(', ')}}`, ONE_PLACE));
  return errors;
}

interface Binding {
  bindingConditions?: string[];
  bindingFailureConditions?: string[];
}

/** What must hold of a device, and must not, before a pod is bound. */
export function validateBinding(
  { bindingConditions: conditions = [], bindingFailureConditions: failures = [] }: Binding,
  path: string,
): FieldError[] {
  const [at, failuresAt] = [child(path, 'bindingConditions'), child(path, 'bindingFailureConditions')];
  const repeated = (names: string[], i: number) => names.indexOf(names[i]!) < i;
  const errors = [
    ...validateSlice(conditions, CONDITIONS_MAX, at, validateQualifiedName),
    ...validateSlice(failures, CONDITIONS_MAX, failuresAt, validateQualifiedName),
  ];
  conditions.forEach((name, i) => {
    if (repeated(conditions, i)) errors.push(duplicate(index(at, i), name));
  });
  failures.forEach((name, i) => {
    const where = index(failuresAt, i);
    if (repeated(failures, i)) errors.push(duplicate(where, name));
    if (conditions.includes(name))
      errors.push(invalid(where, name, 'bindingFailureConditions must not overlap with bindingConditions'));
  });
  if (conditions.length === 0 && failures.length > 0)
    errors.push(invalid(at, null, 'bindingConditions are required to use bindingFailureConditions'));
  if (failures.length === 0 && conditions.length > 0)
    errors.push(invalid(failuresAt, null, 'bindingFailureConditions are required to use bindingConditions'));
  return errors;
}
