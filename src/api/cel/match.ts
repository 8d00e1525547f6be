/** Whether a value is of a declared type, as far as its outside tells. */
import type { Type } from './types.js';
import { ListValue, MapValue, ObjectValue, Opaque, typeOfValue, type Value } from './values.js';

export function fitsType(value: Value, type: Type): boolean {
  switch (type.kind) {
    case 'dyn':
    case 'param':
      return true;
    case 'list':
      return value instanceof ListValue;
    case 'map':
      return value instanceof MapValue;
    case 'object':
      return value instanceof Opaque || value instanceof ObjectValue ? value.type.name === type.name : false;
    default:
      return typeOfValue(value).kind === type.kind;
  }
}
