/** Fields that are a number or a percentage (apimachinery `util/intstr`, `apps/validation`). */
import { type FieldError, invalid } from '../machinery/field.js';
import { percent } from '../machinery/names.js';
import { checked, validateNonnegative } from '../machinery/validation.js';

export type IntOrPercent = number | string | undefined;

/** A number that is not negative, or a percentage. */
export const validateIntOrPercent = (value: IntOrPercent, path: string): FieldError[] =>
  typeof value === 'string' ? checked(path, value, percent) : validateNonnegative(value ?? 0, path);

/** The number, of things or of percent; a text that is neither counts as 0. */
export const sizeOf = (value: IntOrPercent): number =>
  typeof value === 'string'
    ? /^[-+]?\d+$|^\d+%$/.test(value)
      ? Number.parseInt(value, 10)
      : 0
    : (value ?? 0);

export const validateAtMostAll = (value: IntOrPercent, path: string): FieldError[] =>
  typeof value === 'string' && percent(value).length === 0 && sizeOf(value) > 100
    ? [invalid(path, value, 'must not be greater than 100%')]
    : [];
