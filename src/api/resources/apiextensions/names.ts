/** Validation of the names that a kind is known by. */
import type { CustomResourceDefinitionNames } from '#types';
import { child, type FieldError, index, invalid } from '../../machinery/field.js';
import { dns1035Label } from '../../machinery/names.js';

/** Each may be empty: the spec's are required elsewhere. */
export function namesErrors(
  names: Partial<CustomResourceDefinitionNames> | undefined,
  path: string,
): FieldError[] {
  const { plural, singular, kind, listKind, shortNames = [], categories = [] } = names ?? {};
  const errors: FieldError[] = [];
  const check = (at: string, value: string | undefined, shown = value, prefix = '') => {
    const problems = value ? dns1035Label(value) : [];
    if (problems.length > 0) errors.push(invalid(at, shown, `${prefix}${problems.join(',')}`));
  };
  const mixed = 'may have mixed case, but should otherwise match: ';
  check(child(path, 'plural'), plural);
  check(child(path, 'singular'), singular);
  check(child(path, 'kind'), kind?.toLowerCase(), kind, mixed);
  check(child(path, 'listKind'), listKind?.toLowerCase(), listKind, mixed);
  for (const [i, name] of shortNames.entries()) check(index(child(path, 'shortNames'), i), name);
  if (kind && kind === listKind)
    errors.push(invalid(child(path, 'listKind'), listKind, 'kind and listKind may not be the same'));
  for (const [i, name] of categories.entries()) check(index(child(path, 'categories'), i), name);
  return errors;
}
