/** How much of a device's capacity one request may take, where several share the device. */
import type { CapacityRequestPolicy, CapacityRequestPolicyRange, DeviceCapacity } from '#types';
import { child, type FieldError, forbidden, index, invalid, required } from '../../machinery/field.js';
import { addQuantities, compareQuantities, quantityValue } from '../../machinery/quantity.js';
import { validateSet } from './common.js';

const VALUES_MAX = 10;

export function validateCapacity(
  { value, requestPolicy }: DeviceCapacity,
  path: string,
  isShared: boolean,
): FieldError[] {
  const at = child(path, 'requestPolicy');
  if (!requestPolicy) return [];
  if (!isShared) return [forbidden(at, 'allowMultipleAllocations must be true')];
  const { validValues, validRange } = requestPolicy;
  if (validValues?.length && validRange)
    return [
      forbidden(
        at,
        'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time',
      ),
    ];
  const rule = validValues?.length ? 'validValues' : validRange ? 'validRange' : undefined;
  if (!rule) return [];
  if (requestPolicy.default === undefined)
    return [required(child(at, 'default'), `required when ${rule} is defined`)];
  return rule === 'validValues'
    ? validateValues(requestPolicy, value, child(at, rule))
    : validateRange(validRange!, requestPolicy.default, value, child(at, rule));
}

function validateValues(policy: CapacityRequestPolicy, capacity: string, path: string): FieldError[] {
  const { validValues = [], default: preset } = policy;
  const errors = validValues.flatMap((value, i) =>
    i > 0 && compareQuantities(validValues[i - 1], value) > 0
      ? [invalid(index(path, i), value, 'values must be sorted in ascending order')]
      : [],
  );
  const validateValue = (value: string, at: string) =>
    compareQuantities(value, capacity) > 0
      ? [invalid(at, value, `option is larger than capacity value: ${capacity}`)]
      : [];
  errors.push(...validateSet(validValues, VALUES_MAX, path, validateValue, (v) => String(quantityValue(v))));
  if (!validValues.some((value) => compareQuantities(value, preset) === 0))
    errors.push(invalid(path, preset, 'default value is not valid according to the requestPolicy'));
  return errors;
}

function validateRange(
  { min, max, step }: CapacityRequestPolicyRange,
  preset: string,
  capacity: string,
  path: string,
): FieldError[] {
  const at = (field: string) => child(path, field);
  if (min === undefined) return [required(at('min'), 'required when validRange is defined')];
  const errors: FieldError[] = [];
  const larger = (a: string, b: string) => compareQuantities(a, b) > 0;
  if (larger(min, capacity))
    errors.push(invalid(at('min'), min, `min is larger than capacity value: ${capacity}`));
  if (larger(min, preset)) errors.push(invalid(at('min'), preset, `default is less than min: ${min}`));
  if (max !== undefined) {
    if (larger(min, max)) errors.push(invalid(at('max'), min, `min is larger than max: ${max}`));
    if (larger(max, capacity))
      errors.push(invalid(at('max'), max, `max is larger than capacity value: ${capacity}`));
    if (larger(preset, max)) errors.push(invalid(at('max'), preset, `default is more than max: ${max}`));
  }
  if (step === undefined) return errors;
  const one = addQuantities(min, step);
  if (larger(one, capacity))
    errors.push(invalid(at('step'), step, `one step ${one} is larger than capacity value: ${capacity}`));
  for (const value of max === undefined ? [preset] : [preset, max])
    if ((quantityValue(value) - quantityValue(min)) % quantityValue(step) !== 0)
      errors.push(
        invalid(at('step'), value, `value is not a multiple of a given step (${step}) from (${min})`),
      );
  return errors;
}
