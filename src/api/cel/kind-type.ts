/** Types of the API's own kinds, by their schemas. */
import { typeOfKind } from '../schema/index.js';
import type { TypeSchema, ValueSchema } from '../schema/types.js';
import { escapeProperty } from './escape.js';
import { type TypeSchema as SchemaOfType, schemaType } from './schema-type.js';
import {
  BOOL,
  BYTES,
  DOUBLE,
  DYN,
  type Field,
  INT,
  listOf,
  mapOf,
  objectOf,
  STRING,
  TIMESTAMP,
  type Type,
} from './types.js';

/** The type of a kind's objects; undefined for one without a schema. */
export function kindType(apiVersion: string, kind: string): Type | undefined {
  const schema = typeOfKind(apiVersion, kind);
  return schema && structType(schema, kind, true);
}

/** The type of a custom kind's objects: by its schema, with the metadata that all have. */
export function customKindType(schema: SchemaOfType, kind: string): Type | undefined {
  const type = schemaType(schema, kind, true);
  const metadata = kindType('v1', 'ConfigMap')?.fields?.get('metadata');
  if (!type?.fields || !metadata) return type;
  return { ...type, fields: new Map([...type.fields, ['metadata', metadata]]) };
}

/** Fields are made when they are asked for: types refer to each other in circles. */
class LazyFields extends Map<string, Field> {
  constructor(
    private readonly schema: TypeSchema,
    private readonly path: string,
    private readonly root: boolean,
  ) {
    super();
  }

  override get(name: string): Field | undefined {
    const known = super.get(name);
    if (known) return known;
    if (this.root && (name === 'apiVersion' || name === 'kind')) return { type: STRING, property: name };
    for (const [property, { value }] of this.schema.fields) {
      if (escapeProperty(property) !== name) continue;
      const field = { type: valueType(value, `${this.path}.${name}`), property };
      this.set(name, field);
      return field;
    }
    return undefined;
  }
}

const structType = (schema: TypeSchema, path: string, root = false): Type =>
  objectOf(path, new LazyFields(schema, path, root));

function valueType({ kind, element, ref }: ValueSchema, path: string): Type {
  switch (kind) {
    case 'boolean':
      return BOOL;
    case 'int32':
    case 'int64':
      return INT;
    case 'double':
      return DOUBLE;
    case 'bytes':
      return BYTES;
    case 'time':
    case 'microTime':
      return TIMESTAMP;
    case 'string':
    case 'duration':
    // Its schema says int or string, with a pattern: upstream has it as text.
    case 'quantity':
      return STRING;
    case 'list':
      return listOf(valueType(element!, `${path}.@idx`));
    case 'map':
      return mapOf(STRING, valueType(element!, `${path}.@elem`));
    case 'ref':
      return ref ? structType(ref, path) : DYN;
    default:
      return DYN;
  }
}
