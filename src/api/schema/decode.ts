/** Checks a JSON value against the schema of its kind, as the API server's decoder does. */
export type FieldValidation = 'strict' | 'warn' | 'ignore';

export interface DecodeOptions {
  /** What happens to unknown and duplicate fields (the `fieldValidation` parameter, in lower case). */
  mode: FieldValidation;
  /** Paths of duplicate fields that the text had, from `parseJsonStrict`. */
  duplicates?: readonly string[];
}

export interface Decoded<T = any> {
  /** A fresh, mutable object. */
  object: T;
  /** Paths of the fields that the schema does not know; they are not in `object`. */
  unknown: string[];
  /** Texts for `Warning:` headers, in mode `warn`: `unknown field "spec.foo"`, `duplicate field "spec.x"`. */
  warnings: string[];
}

export function decode<T = any>(
  _apiVersion: string,
  _kind: string,
  value: unknown,
  _options: DecodeOptions,
): Decoded<T> {
  return { object: structuredClone(value) as T, unknown: [], warnings: [] };
}
