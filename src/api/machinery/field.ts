/** Field errors of validation, with upstream's types and messages (apimachinery `field.Error`). */

export type FieldErrorType =
  | 'FieldValueNotFound'
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid'
  | 'InternalError';

export interface FieldError {
  type: FieldErrorType;
  /** Such as `spec.containers[0].name`. */
  field: string;
  /** The text after the field: `Invalid value: "x": must be …`. */
  message: string;
}

/** Joins a parent path with a field name: `child('spec', 'replicas')`. */
export function child(path: string, ...names: string[]): string {
  return [path, ...names].filter((part) => part !== '').join('.');
}

/** A list element: `spec.containers[0]`. */
export function index(path: string, i: number): string {
  return `${path}[${i}]`;
}

/** A map element: `metadata.labels[app]`. */
export function key(path: string, name: string): string {
  return `${path}[${name}]`;
}

/** A value as upstream prints it in a message: strings quoted, others as JSON. */
function shown(value: unknown): string {
  return value === undefined || value === null ? 'null' : JSON.stringify(value);
}

const error = (type: FieldErrorType, field: string, head: string, detail: string): FieldError => ({
  type,
  field,
  message: detail === '' ? head : `${head}: ${detail}`,
});

export const required = (field: string, detail = ''): FieldError =>
  error('FieldValueRequired', field, 'Required value', detail);

export const invalid = (field: string, value: unknown, detail: string): FieldError =>
  error('FieldValueInvalid', field, `Invalid value: ${shown(value)}`, detail);

export const notFound = (field: string, value: unknown): FieldError =>
  error('FieldValueNotFound', field, `Not found: ${shown(value)}`, '');

export const duplicate = (field: string, value: unknown): FieldError =>
  error('FieldValueDuplicate', field, `Duplicate value: ${shown(value)}`, '');

export const forbidden = (field: string, detail: string): FieldError =>
  error('FieldValueForbidden', field, 'Forbidden', detail);

/** The values are told in the order given: upstream's own, which is sorted where it keeps them in a set. */
export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError =>
  error(
    'FieldValueNotSupported',
    field,
    `Unsupported value: ${shown(value)}`,
    supported.length > 0 ? `supported values: ${supported.map(shown).join(', ')}` : '',
  );

export const tooLong = (field: string, maxBytes: number): FieldError =>
  error(
    'FieldValueTooLong',
    field,
    'Too long',
    `may not be more than ${maxBytes} ${maxBytes === 1 ? 'byte' : 'bytes'}`,
  );

export const tooMany = (field: string, actual: number, max: number): FieldError =>
  error(
    'FieldValueTooMany',
    field,
    `Too many: ${actual}`,
    `must have at most ${max} ${max === 1 ? 'item' : 'items'}`,
  );

/** `field: message`, as it stands in a Status message. */
export function describe(e: FieldError): string {
  return `${e.field}: ${e.message}`;
}
