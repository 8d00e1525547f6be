/**
 * The schema of the API: what each type looks like, and the decoder that checks JSON values against it.
 *
 * ```ts
 * const { object, warnings } = decode('apps/v1', 'Deployment', JSON.parse(body), { mode: 'warn' });
 * ```
 */
export { hasSchema, typeOfKind, typeSchema } from './build.js';
export { type Decoded, type DecodeOptions, decode, type FieldValidation } from './decode.js';
export { typeNameOf } from './groups.js';
export { JsonSyntaxError, parseJsonStrict, type StrictJson } from './json.js';
export type { FieldSchema, TypeSchema, ValueKind, ValueSchema } from './types.js';
export { parseYamlStrict, type StrictYaml } from './yaml.js';
