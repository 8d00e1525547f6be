/** Checks an applied configuration against its shape, in the words of upstream's structured-merge-diff. */
import { ItemError, itemElement } from './list-items.js';
import { elementText, fieldElement } from './path-element.js';
import { deduce, isMap, type JsonObject, memberShape, type Shape } from './shape.js';

/** All that is wrong, as one text; undefined if nothing is. */
export function validate(shape: Shape, value: unknown): string | undefined {
  const errors = errorsOf(shape, value);
  if (errors.length <= 1) return errors[0];
  return `errors:\n${errors.map((error) => `  ${error}`).join('\n')}`;
}

function errorsOf(shape: Shape, value: unknown): string[] {
  if (value === null || value === undefined || shape.form === 'untracked') return [];
  const deduced = deduce(shape, value);
  switch (deduced.form) {
    case 'scalar':
      return scalarErrors(deduced.scalar, value);
    case 'list':
      return Array.isArray(value) ? listErrors(deduced, value) : [`expected list, got ${goValue(value)}`];
    default:
      return isMap(value) ? mapErrors(deduced, value) : [`expected map, got ${goValue(value)}`];
  }
}

/** A value as `%v` prints it. */
function goValue(value: unknown): string {
  if (Array.isArray(value)) return `&{[${value.map(goValue).join(' ')}]}`;
  return isMap(value) ? '&{map[]}' : `&{${String(value)}}`;
}

const GO_TYPES: Record<string, string> = { string: 'string', boolean: 'bool', number: 'int64' };

function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  return GO_TYPES[typeof value] ?? 'map[string]interface {}';
}

function scalarErrors(scalar: string, value: unknown): string[] {
  const type = typeof value;
  switch (scalar) {
    case 'numeric':
      return type === 'number' ? [] : [`expected numeric (int or float), got ${goType(value)}`];
    case 'string':
      return type === 'string'
        ? []
        : [`expected string, got &value.valueUnstructured{Value:${goLiteral(value)}}`];
    case 'boolean':
      return type === 'boolean' ? [] : [`expected boolean, got ${goValue(value)}`];
    default:
      return type === 'object' ? [`expected any scalar, got ${goValue(value)}`] : [];
  }
}

const goLiteral = (value: unknown): string =>
  typeof value === 'object' ? `${goType(value)}{}` : JSON.stringify(value);

function listErrors(list: Extract<Shape, { form: 'list' }>, items: readonly unknown[]): string[] {
  const errors: string[] = [];
  const seen = new Set<string>();
  for (const [i, item] of items.entries()) {
    let element = `i:${i}`;
    if (!list.atomic) {
      try {
        element = itemElement(list, item);
      } catch (error) {
        if (!(error instanceof ItemError)) throw error;
        errors.push(`: element ${i}: ${error.message}`);
        break;
      }
      if (seen.has(element)) errors.push(`: duplicate entries for key ${elementText(element)}`);
      seen.add(element);
    }
    errors.push(...within(element, errorsOf(list.item, item)));
  }
  return errors;
}

function mapErrors(shape: Shape, value: JsonObject): string[] {
  const errors: string[] = [];
  for (const key in value) {
    const member = memberShape(shape, key);
    if (member === undefined) {
      errors.push(`.${key}: field not declared in schema`);
      break;
    }
    errors.push(...within(fieldElement(key), errorsOf(member, value[key])));
  }
  return errors;
}

/** Puts a path element before errors; one that has no path yet gets its colon. */
const within = (element: string, errors: readonly string[]): string[] =>
  errors.map((error) => {
    const text = elementText(element);
    return error.startsWith('.') || error.startsWith('[') || error.startsWith(':')
      ? `${text}${error}`
      : `${text}: ${error}`;
  });
