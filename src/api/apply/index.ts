/**
 * Server-side apply: sets of fields, merging by the schema, and who manages which field.
 *
 * ```ts
 * const target = { apiVersion: 'apps/v1', kind: 'Deployment', subresource: '' };
 * const merged = applyConfiguration(target, live, config, { manager: 'me', now, force: false });
 * ```
 */
export { applyConfiguration, type Target, trackUpdate, type Writer } from './field-manager.js';
export { type FieldSet, setOf } from './field-set.js';
export type { FieldFilter } from './filter.js';
export { LAST_APPLIED } from './last-applied.js';
export { sameButTimes } from './managers.js';
export { parentEntries, scaleEntries } from './scale.js';
