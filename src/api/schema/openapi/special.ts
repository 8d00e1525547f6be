/** OpenAPI definitions of types whose JSON form is not an object of fields. */
import type { ValueKind, ValueSchema } from '../types.js';
import type { Dialect, Json } from './definitions.js';

interface Special {
  name: string;
  v2: Json;
  /** Where it differs from v2. */
  v3?: Json;
}

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const CRD = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1';

const SPECIAL: Partial<Record<ValueKind, Special>> = {
  time: {
    name: `${META}.Time`,
    v2: { description: 'A time in RFC 3339, in whole seconds.', type: 'string', format: 'date-time' },
  },
  microTime: {
    name: `${META}.MicroTime`,
    v2: { description: 'A time in RFC 3339 with microseconds.', type: 'string', format: 'date-time' },
  },
  fieldsV1: {
    name: `${META}.FieldsV1`,
    v2: {
      description:
        'A set of fields as a trie: each key is `.` for the field itself, or `f:<name>`, `v:<value>`, `i:<index>` or `k:<keys>` for what is below it.',
      type: 'object',
    },
  },
  quantity: {
    name: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
    v2: {
      description:
        'A number with a suffix: a decimal one (n, u, m, k, M, G, T, P, E), a binary one (Ki, Mi, Gi, Ti, Pi, Ei) or an exponent (e3). It is stored in canonical form: with the largest suffix that leaves an integer.',
      type: 'string',
    },
    v3: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  },
  intOrString: {
    name: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
    v2: {
      description: 'An integer or a string, such as a number of pods or a percentage of them.',
      type: 'string',
      format: 'int-or-string',
    },
    v3: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  },
  schemaOrArray: {
    name: `${CRD}.JSONSchemaPropsOrArray`,
    v2: { description: 'A JSON schema, or a list of them.' },
  },
  schemaOrBool: {
    name: `${CRD}.JSONSchemaPropsOrBool`,
    v2: { description: 'A JSON schema, or a boolean.' },
  },
  schemaOrStringArray: {
    name: `${CRD}.JSONSchemaPropsOrStringArray`,
    v2: { description: 'A JSON schema, or a list of names of properties.' },
  },
};

const RAW: Special = {
  name: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
  v2: { description: 'Any JSON object; the server keeps it as it is.', type: 'object' },
};
const JSON_VALUE: Special = {
  name: `${CRD}.JSON`,
  v2: { description: 'Any JSON value: boolean, number, string, null, list or object.' },
};

function special(value: ValueSchema): Special | undefined {
  if (value.kind !== 'any') return SPECIAL[value.kind];
  if (value.goType === 'runtime.RawExtension') return RAW;
  return value.goType === 'v1.JSON' ? JSON_VALUE : undefined;
}

/** The definition's name, or undefined for a value without one. */
export function specialName(value: ValueSchema): string | undefined {
  return special(value)?.name;
}

export function specialDefinition(value: ValueSchema, dialect: Dialect): Json {
  const found = special(value) as Special;
  if (dialect === 'v2' || !found.v3) return found.v2;
  const { description } = found.v2;
  return { description, ...found.v3 };
}
