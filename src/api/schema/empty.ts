/** Empty values: what Go leaves out of JSON, and what it puts in place of nothing. */
import type { FieldSchema, ValueSchema } from './types.js';

type JsonObject = Record<string, unknown>;

/** What null stands for in a list or map. */
export function zero(schema: ValueSchema): unknown {
  switch (schema.kind) {
    case 'string':
    case 'bytes':
      return '';
    case 'boolean':
      return false;
    case 'int32':
    case 'int64':
    case 'double':
    case 'intOrString':
      return 0;
    case 'quantity':
      return '0';
    case 'list':
      return [];
    case 'map':
    case 'ref':
      return {};
    default:
      return null;
  }
}

/** What Go's JSON leaves out with `omitempty`: structs, times and quantities among them never. */
export function isEmpty(value: unknown, schema: ValueSchema): boolean {
  switch (schema.kind) {
    case 'string':
    case 'bytes':
      return value === '';
    case 'boolean':
      return value === false;
    case 'int32':
    case 'int64':
    case 'double':
      return value === 0;
    case 'list':
      return (value as unknown[]).length === 0;
    case 'map':
      for (const _ in value as JsonObject) return false;
      return true;
    default:
      return false;
  }
}

/** An object that was not given and is no pointer: empty but for such objects in it. */
export function emptyObject(field: FieldSchema): JsonObject {
  const out: JsonObject = {};
  for (const inner of field.value.ref?.structs ?? []) out[inner.name] = emptyObject(inner);
  return out;
}
