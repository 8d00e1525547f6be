/** The shapes that schemas are made of: what a JSON value must be, and how patches merge it. */

/** What a JSON value may be. `any` is kept as it came (RawExtension, JSON); `ref` is an object of a type. */
export type ValueKind =
  | 'string'
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'double'
  | 'bytes'
  | 'quantity'
  | 'intOrString'
  | 'time'
  | 'microTime'
  | 'duration'
  | 'any'
  | 'fieldsV1'
  | 'schemaOrArray'
  | 'schemaOrBool'
  | 'schemaOrStringArray'
  | 'list'
  | 'map'
  | 'ref';

export interface ValueSchema {
  kind: ValueKind;
  /** The Go type as the decoder names it in errors: `int32`, `v1.PullPolicy`, `[]v1.Container`. */
  goType: string;
  /** The element type of a list or map (maps are keyed by strings). */
  element?: ValueSchema;
  /** The object type of a `ref` (and of the `schemaOr…` kinds); built on first use. */
  ref?: TypeSchema;
  /** The closed set of values of a string, for OpenAPI; decoding does not check it. */
  enum?: readonly string[];
  /** The named type that a scalar, list or map was declared as, such as `core/v1.ResourceList`. */
  alias?: string;
}

/** One field; `patchStrategy` is for strategic merge patch, `listType` and its like for server-side apply. */
export interface FieldSchema {
  /** The JSON name. */
  name: string;
  /** The type of the field; resolved on first use, since types refer to each other in circles. */
  readonly value: ValueSchema;
  /** Required by the API's documentation. */
  required: boolean;
  /** Whether its zero value (`0`, `''`, `false`, `{}`) differs from its absence. */
  pointer: boolean;
  /** When its JSON is left out: when it has Go's empty value, when it is all zero, or never. */
  omit: 'empty' | 'zero' | 'never';
  /** `merge`, `replace`, `retainKeys` or two of them joined by a comma. */
  patchStrategy?: string;
  patchMergeKey?: string;
  listType?: 'atomic' | 'set' | 'map';
  listMapKeys?: readonly string[];
  mapType?: 'atomic' | 'granular';
  structType?: 'atomic' | 'granular';
  /** The schema's default as a JSON value; decoding does not apply it. */
  default?: unknown;
  featureGate?: string;
}

/** An object type with the fields of its inlined types among its own. */
export interface TypeSchema {
  /** Such as `apps/v1.Deployment`. */
  name: string;
  /** Such as `Deployment`, as the Go decoder names it in errors. */
  goName: string;
  fields: ReadonlyMap<string, FieldSchema>;
  /** The fields that are objects and no pointers: they are never absent. */
  readonly structs: readonly FieldSchema[];
  /** `atomic`: server-side apply owns the object as a whole. */
  structType?: 'atomic';
  /** Whether it may have fields that are not declared (`x-kubernetes-preserve-unknown-fields`). */
  open?: boolean;
}
