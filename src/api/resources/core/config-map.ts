/** ConfigMaps. */
import type { ConfigMap } from '#types';
import { type FieldError, forbidden, invalid, key, tooLong } from '../../machinery/field.js';
import { configMapKey } from '../../machinery/names.js';
import { checked, sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';

/** The bytes that a ConfigMap or a Secret may hold. */
export const MAX_DATA_BYTES = 1024 * 1024;

function validate(map: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const [name, value] of Object.entries(map.data ?? {})) {
    errors.push(...checked(key('data', name), name, configMapKey));
    if (map.binaryData?.[name] !== undefined)
      errors.push(invalid(key('data', name), name, 'duplicate of key present in binaryData'));
    size += Buffer.byteLength(value);
  }
  for (const [name, value] of Object.entries(map.binaryData ?? {})) {
    errors.push(...checked(key('binaryData', name), name, configMapKey));
    size += Buffer.byteLength(value, 'base64');
  }
  if (size > MAX_DATA_BYTES) errors.push(tooLong('[]', MAX_DATA_BYTES));
  return errors;
}

/** Once `immutable` is set, neither it nor these fields change. */
export function validateUnchanged<T extends { immutable?: boolean }>(
  object: T,
  old: T,
  fields: (keyof T & string)[],
): FieldError[] {
  if (!old.immutable) return [];
  const changed = fields.filter((field) => !sameJson(object[field], old[field]));
  return (object.immutable ? changed : ['immutable', ...changed]).map((field) =>
    forbidden(field, 'field is immutable when `immutable` is set'),
  );
}

export const configMaps = defineResource<ConfigMap>({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  namespaced: true,
  validate,
  validateUpdate: (map, old) => validateUnchanged(map, old, ['data', 'binaryData']),
  columns: [
    nameColumn,
    {
      name: 'Data',
      type: 'string',
      description: 'Number of keys.',
      cell: (map) => Object.keys(map.data ?? {}).length + Object.keys(map.binaryData ?? {}).length,
    },
    ageColumn,
  ],
});
