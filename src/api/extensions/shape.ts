/** Structural schemas in the form that server-side apply reads: as types with fields. */
import type { Shape } from '../apply/index.js';
import { typeSchema } from '../schema/index.js';
import type { FieldSchema, TypeSchema, ValueSchema } from '../schema/types.js';
import {
  INT_OR_STRING,
  itemsOf,
  LIST_MAP_KEYS,
  LIST_TYPE,
  MAP_TYPE,
  PRESERVE,
  type Schema,
  valuesOf,
} from './schema.js';

const SCALARS: Record<string, ValueSchema> = {
  string: { kind: 'string', goType: 'string' },
  boolean: { kind: 'boolean', goType: 'bool' },
  integer: { kind: 'double', goType: 'int64' },
  number: { kind: 'double', goType: 'float64' },
};
const ANY: ValueSchema = { kind: 'any', goType: 'interface {}' };

/** What the objects of a version can own of themselves. */
export function shapeOfSchema(schema: Schema): Shape {
  const { properties = {} } = schema;
  const fields = fieldsOf({ ...properties, apiVersion: { type: 'string' }, kind: { type: 'string' } });
  const metadata: FieldSchema = {
    ...field('metadata', {}),
    value: { kind: 'ref', goType: 'v1.ObjectMeta', ref: typeSchema('meta/v1.ObjectMeta') as TypeSchema },
  };
  fields.set('metadata', metadata);
  const root: TypeSchema = { ...type(fields, Boolean(schema[PRESERVE])), structs: [metadata] };
  return { form: 'struct', atomic: false, role: 'object', type: root };
}

const type = (fields: ReadonlyMap<string, FieldSchema>, open: boolean): TypeSchema => ({
  name: '',
  goName: '',
  fields,
  structs: [],
  ...(open ? { open } : {}),
});

function fieldsOf(properties: Record<string, Schema>): Map<string, FieldSchema> {
  return new Map(Object.entries(properties).map(([name, schema]) => [name, field(name, schema)]));
}

function field(name: string, schema: Schema): FieldSchema {
  const listType = schema[LIST_TYPE] as FieldSchema['listType'];
  const keys = schema[LIST_MAP_KEYS] as string[] | undefined;
  const granularity = schema[MAP_TYPE] as 'atomic' | 'granular' | undefined;
  const value = schemaValue(schema);
  return {
    name,
    value,
    required: false,
    pointer: true,
    omit: 'empty',
    ...(schema.default === undefined ? {} : { default: schema.default }),
    ...(listType ? { listType } : {}),
    ...(keys ? { listMapKeys: keys } : {}),
    ...(granularity && value.kind === 'map' ? { mapType: granularity } : {}),
    ...(granularity && value.kind === 'ref' ? { structType: granularity } : {}),
  };
}

function schemaValue(schema: Schema): ValueSchema {
  if (schema[INT_OR_STRING]) return { kind: 'intOrString', goType: 'intstr.IntOrString' };
  const scalar = SCALARS[schema.type ?? ''];
  if (scalar) return scalar;
  if (schema.type === 'array') {
    const items = itemsOf(schema);
    return { kind: 'list', goType: '[]interface {}', element: items ? schemaValue(items) : ANY };
  }
  if (schema.type !== 'object') return ANY;
  const values = valuesOf(schema);
  if (values) return { kind: 'map', goType: 'map[string]interface {}', element: schemaValue(values) };
  if (schema.additionalProperties === true)
    return { kind: 'map', goType: 'map[string]interface {}', element: ANY };
  if (schema.properties === undefined && schema[PRESERVE])
    return schema[MAP_TYPE] === 'atomic'
      ? { kind: 'map', goType: 'map[string]interface {}', element: ANY }
      : ANY;
  const fields = fieldsOf(schema.properties ?? {});
  if (schema['x-kubernetes-embedded-resource'])
    for (const name of ['apiVersion', 'kind', 'metadata'])
      if (!fields.has(name)) fields.set(name, field(name, name === 'metadata' ? {} : { type: 'string' }));
  return { kind: 'ref', goType: 'map[string]interface {}', ref: type(fields, Boolean(schema[PRESERVE])) };
}
