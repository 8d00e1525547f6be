/** One device of a ResourceSlice. */
import type { Device, DeviceAttribute, DeviceTaint } from '#types';
import {
  child,
  type FieldError,
  invalid,
  key,
  notSupported,
  required,
  tooLong,
} from '../../machinery/field.js';
import { dns1123Subdomain, labelValue } from '../../machinery/names.js';
import { checked, validateDns1123Label, validateQualifiedName } from '../../machinery/validation.js';
import { validateNodeSelector } from '../core/podspec/validate-affinity.js';
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
  const capacities = Object.keys(device.capacity ?? {});
  const errors = [
    ...validateDeviceName(device.name ?? '', child(path, 'name')),
    ...attributes.flatMap(([name, attribute]) => {
      const at = key(child(path, 'attributes'), name);
      return [...validateAttributeName(name, at), ...validateAttribute(attribute, at)];
    }),
    ...capacities.flatMap((name) => validateAttributeName(name, key(child(path, 'capacity'), name))),
  ];
  const total = attributes.length + capacities.length;
  if (total > ATTRIBUTES_AND_CAPACITIES_MAX)
    errors.push(
      invalid(
        path,
        total,
        `the total number of attributes and capacities must not exceed ${ATTRIBUTES_AND_CAPACITIES_MAX}`,
      ),
    );
  return [
    ...errors,
    ...validateSlice(device.taints, TAINTS_MAX, child(path, 'taints'), validateTaint),
    ...validateSet(
      device.consumesCounters,
      CONSUMED_SETS_MAX,
      child(path, 'consumesCounters'),
      ({ counterSet, counters }, at) => [
        ...validateDns1123Label(counterSet ?? '', child(at, 'counterSet')),
        ...validateCounters(counters, child(at, 'counters')),
      ],
      { key: ({ counterSet }) => counterSet, field: 'counterSet' },
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
  if (given.length === 0) errors.push(required(path, 'exactly one value must be specified'));
  if (given.length > 1) errors.push(invalid(path, attribute, 'exactly one value must be specified'));
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
  const errors = names.flatMap((name) => validateDns1123Label(name, key(path, name)));
  return names.length > COUNTERS_MAX
    ? [...errors, invalid(path, names.length, `must not have more than ${COUNTERS_MAX} counters`)]
    : errors;
}

const PLACES = '`nodeName`, `nodeSelector`, or `allNodes`';

function validatePlace(
  { nodeName, nodeSelector, allNodes }: Device,
  path: string,
  perDevice: boolean,
): FieldError[] {
  const given = [nodeName !== undefined, nodeSelector !== undefined, allNodes === true].filter(
    Boolean,
  ).length;
  const errors: FieldError[] = [];
  if (nodeName !== undefined) errors.push(...checked(child(path, 'nodeName'), nodeName, dns1123Subdomain));
  if (nodeSelector) errors.push(...validateNodeSelector(nodeSelector, child(path, 'nodeSelector'), false));
  if (perDevice && given === 0)
    errors.push(
      required(
        path,
        `exactly one of ${PLACES} is required when \`perDeviceNodeSelection\` is set to true in the ResourceSlice spec`,
      ),
    );
  if (perDevice && given > 1)
    errors.push(
      invalid(
        path,
        given,
        `exactly one of ${PLACES} is required when \`perDeviceNodeSelection\` is set to true in the ResourceSlice spec`,
      ),
    );
  if (!perDevice && given > 0)
    errors.push(
      invalid(
        path,
        given,
        `${PLACES} can only be specified when \`perDeviceNodeSelection\` is set to true in the ResourceSlice spec`,
      ),
    );
  return errors;
}

function validateBinding(
  { bindingConditions, bindingFailureConditions }: Device,
  path: string,
): FieldError[] {
  const conditions = (names: string[] | undefined, field: string) =>
    validateSet(names, CONDITIONS_MAX, child(path, field), (name, at) => validateQualifiedName(name, at), {
      key: (name) => name,
    });
  const errors = [
    ...conditions(bindingConditions, 'bindingConditions'),
    ...conditions(bindingFailureConditions, 'bindingFailureConditions'),
  ];
  const needsFailure = (bindingConditions?.length ?? 0) > 0 && !bindingFailureConditions?.length;
  const needsConditions = (bindingFailureConditions?.length ?? 0) > 0 && !bindingConditions?.length;
  if (needsFailure)
    errors.push(
      invalid(
        child(path, 'bindingFailureConditions'),
        [],
        'bindingFailureConditions are required to use bindingConditions',
      ),
    );
  if (needsConditions)
    errors.push(
      invalid(
        child(path, 'bindingConditions'),
        [],
        'bindingConditions are required to use bindingFailureConditions',
      ),
    );
  return errors;
}
