/** CEL's types, and how they are written in messages and in declarations. */

export type Kind =
  | 'dyn'
  | 'error'
  | 'null'
  | 'bool'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'timestamp'
  | 'duration'
  | 'list'
  | 'map'
  | 'optional'
  | 'type'
  | 'param'
  | 'object';

/** A field of an object type: its CEL name is the key it stands under, `property` its name in the JSON object. */
export interface Field {
  type: Type;
  property: string;
}

export interface Type {
  readonly kind: Kind;
  /** Of objects and type parameters. */
  readonly name: string;
  /** The element of a list or optional; key and value of a map; the type of a type. */
  readonly params: readonly Type[];
  /** Of objects that have any; without it an object is opaque. */
  readonly fields?: ReadonlyMap<string, Field>;
  /** How lists are compared and joined: as a set, or by the keys of a map list (x-kubernetes-list-type). */
  readonly listType?: 'set' | 'map';
  readonly listKeys?: readonly string[];
  /** The most elements, or bytes of a string, that a value can have; for the estimate of costs. */
  readonly maxSize?: number;
}

const simple = (kind: Kind): Type => ({ kind, name: kind, params: [] });

export const DYN = simple('dyn');
export const ERROR = simple('error');
export const NULL = simple('null');
export const BOOL = simple('bool');
export const INT = simple('int');
export const UINT = simple('uint');
export const DOUBLE = simple('double');
export const STRING = simple('string');
export const BYTES = simple('bytes');
export const TIMESTAMP = simple('timestamp');
export const DURATION = simple('duration');

export const listOf = (element: Type): Type => ({ kind: 'list', name: 'list', params: [element] });
export const mapOf = (key: Type, value: Type): Type => ({ kind: 'map', name: 'map', params: [key, value] });
export const optionalOf = (of: Type): Type => ({ kind: 'optional', name: 'optional_type', params: [of] });
export const typeOf = (of: Type): Type => ({ kind: 'type', name: 'type', params: [of] });
export const paramOf = (name: string): Type => ({ kind: 'param', name, params: [] });
export const objectOf = (name: string, fields?: Record<string, Type> | ReadonlyMap<string, Field>): Type => {
  if (fields === undefined || fields instanceof Map)
    return { kind: 'object', name, params: [], ...(fields && { fields }) };
  const entries = Object.entries(fields as Record<string, Type>);
  return {
    kind: 'object',
    name,
    params: [],
    fields: new Map(entries.map(([property, type]) => [property, { type, property }])),
  };
};

const SIMPLE = new Map(
  [DYN, NULL, BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION].map((type) => [
    type.kind as string,
    type,
  ]),
);

/** As error messages write a type. */
export function formatType(type: Type): string {
  if (type.kind === 'error') return '!error!';
  if (type.params.length === 0) return type.kind === 'type' ? 'type' : type.name;
  return `${type.name}(${type.params.map(formatType).join(', ')})`;
}

/** Reads a type as declarations here write it: `list<T>`, `map<string, dyn>`, `optional<T>`, `kubernetes.URL`. */
export function parseType(text: string): Type {
  const source = text.trim();
  const open = source.indexOf('<');
  if (open < 0) {
    if (SIMPLE.has(source)) return SIMPLE.get(source)!;
    if (source === 'list') return listOf(DYN);
    if (source === 'map') return mapOf(DYN, DYN);
    return /^[A-Z]$/.test(source) ? paramOf(source) : objectOf(source);
  }
  const inner = splitTop(source.slice(open + 1, -1)).map(parseType);
  switch (source.slice(0, open)) {
    case 'list':
      return listOf(inner[0]!);
    case 'map':
      return mapOf(inner[0]!, inner[1]!);
    case 'optional':
      return optionalOf(inner[0]!);
    default:
      return typeOf(inner[0]!);
  }
}

/** Splits at the commas that no angle brackets enclose. */
export function splitTop(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '<') depth++;
    else if (text[i] === '>') depth--;
    else if (text[i] === ',' && depth === 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  const last = text.slice(start);
  return last.trim() === '' ? parts : [...parts, last];
}
