/** Rules for paths of files in volumes and containers. */
import type { KeyToPath } from '#types';
import { child, type FieldError, invalid, required } from '../../../machinery/field.js';

/** No `..` element. */
export const validateNoBacksteps = (target: string, path: string): FieldError[] =>
  target.split('/').includes('..') ? [invalid(path, target, "must not contain '..'")] : [];

/** Relative, and below the folder it starts from. */
export const validateDescending = (target: string, path: string): FieldError[] => [
  ...(target.startsWith('/') ? [invalid(path, target, 'must be a relative path')] : []),
  ...validateNoBacksteps(target, path),
];

/** As `validateDescending`, and not one of the names starting with `..` that the volume writer uses itself. */
export const validateNonReserved = (target: string, path: string): FieldError[] => [
  ...validateDescending(target, path),
  ...(target.startsWith('..') && !target.startsWith('../')
    ? [invalid(path, target, "must not start with '..'")]
    : []),
];

export const validateFileMode = (mode: number | undefined, path: string): FieldError[] =>
  mode !== undefined && (mode < 0 || mode > 0o777)
    ? [invalid(path, mode, 'must be a number between 0 and 0777 (octal), both inclusive')]
    : [];

/** A key of a ConfigMap or Secret and the file that shows it. */
export const validateKeyToPath = (item: KeyToPath, path: string): FieldError[] => [
  ...(item.key ? [] : [required(child(path, 'key'))]),
  ...(item.path ? [] : [required(child(path, 'path'))]),
  ...validateNonReserved(item.path ?? '', child(path, 'path')),
  ...validateFileMode(item.mode, child(path, 'mode')),
];
