/** What storage classes and volume attributes classes share. */

import { type FieldError, invalid, required, tooLong } from '../../machinery/field.js';
import { qualifiedName } from '../../machinery/names.js';
import type { KubeObject } from '../../machinery/types.js';
import { checked } from '../../machinery/validation.js';
import { nameColumn } from '../columns.js';
import type { Column } from '../define.js';

export const DEFAULT_STORAGE_CLASS = 'storageclass.kubernetes.io/is-default-class';
const BETA_DEFAULT = 'storageclass.beta.kubernetes.io/is-default-class';
const DEFAULT_ATTRIBUTES_CLASS = 'volumeattributesclass.alpha.kubernetes.io/is-default-class';

const MAX_PARAMETERS = 512;
const MAX_BYTES = 256 * 1024;

export const isDefaultClass = ({ metadata }: KubeObject): boolean =>
  [DEFAULT_STORAGE_CLASS, BETA_DEFAULT, DEFAULT_ATTRIBUTES_CLASS].some(
    (name) => metadata.annotations?.[name] === 'true',
  );

export const classNameColumn: Column<any> = {
  ...nameColumn,
  cell: (object) => (isDefaultClass(object) ? `${object.metadata.name} (default)` : object.metadata.name),
};

export const validateDriver = (name: string | undefined, path: string): FieldError[] =>
  name ? checked(path, name.toLowerCase(), qualifiedName) : [required(path, name ?? '')];

export function validateParameters(
  parameters: Record<string, string> | undefined,
  mayBeEmpty: boolean,
): FieldError[] {
  const entries = Object.entries(parameters ?? {});
  if (entries.length > MAX_PARAMETERS) return [tooLong('parameters', MAX_PARAMETERS)];
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of entries) {
    if (key === '') errors.push(invalid('parameters', key, 'field can not be empty.'));
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > MAX_BYTES) errors.push(tooLong('parameters', MAX_BYTES));
  if (!mayBeEmpty && entries.length === 0)
    errors.push(required('parameters', 'must contain at least one key/value pair'));
  return errors;
}
