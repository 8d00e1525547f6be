/**
 * Server-side apply: sets of fields, merging by the schema, and who manages which field.
 *
 * ```ts
 * const target = { apiVersion: 'apps/v1', kind: 'Deployment', subresource: '' };
 * const merged = applyConfiguration(target, live, config, { manager: 'me', now, force: false });
 * ```
 */
export { applyConfiguration } from './configuration.js';
export { type FieldSet, setOf } from './field-set.js';
export type { FieldFilter } from './filter.js';
export { LAST_APPLIED } from './last-applied.js';
export { sameButTimes } from './managers.js';
export { mergeConfiguration } from './merge-configuration.js';
export type { Target, Writer } from './ownership.js';
export { parentEntries, SCALE_VERSION, scaleEntries } from './scale.js';
export type { Shape } from './shape.js';
export { trackUpdate } from './track.js';
