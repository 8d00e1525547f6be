/** Objects within custom objects (`x-kubernetes-embedded-resource`): they have a type and valid metadata. */
import { child, type FieldError, invalid, required } from '../machinery/field.js';
import { dns1035Label } from '../machinery/names.js';
import { validateObjectMeta } from '../machinery/validation.js';
import { childPath, EMBEDDED, isMap, itemsOf, memberOf, type Schema } from './schema.js';

export function embeddedErrors(value: unknown, schema: Schema, path = '', root = true): FieldError[] {
  const errors: FieldError[] = [];
  if (!root && schema[EMBEDDED] && isMap(value)) errors.push(...objectErrors(value, path));
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (items !== undefined)
      value.forEach((item, i) => {
        errors.push(...embeddedErrors(item, items, `${path}[${i}]`, false));
      });
  } else if (isMap(value)) {
    for (const name in value) {
      const member = memberOf(schema, name);
      if (member !== undefined && !(root && name === 'metadata'))
        errors.push(...embeddedErrors(value[name], member, childPath(path, name), false));
    }
  }
  return errors;
}

function objectErrors(object: Record<string, any>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { apiVersion, kind, metadata } = object;
  if (!apiVersion) errors.push(required(child(path, 'apiVersion'), 'must not be empty'));
  if (!kind) errors.push(required(child(path, 'kind'), 'must not be empty'));
  else {
    const problems = dns1035Label(String(kind).toLowerCase());
    if (problems.length > 0)
      errors.push(
        invalid(
          child(path, 'kind'),
          kind,
          `may have mixed case, but should otherwise match: ${problems.join(',')}`,
        ),
      );
  }
  if (isMap(metadata) && typeof metadata['name'] === 'string')
    errors.push(
      ...validateObjectMeta(
        metadata as any,
        { namespaced: metadata['namespace'] !== undefined },
        child(path, 'metadata'),
      ),
    );
  return errors;
}
