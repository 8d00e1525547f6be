/**
 * Patches: pure functions from a document and a patch to the patched document, which shares nothing that is
 * mutable with either.
 *
 * ```ts
 * applyStrategicMergePatch(pod, { spec: { containers: [{ name: 'web', image: 'web:2' }] } }, typeOfKind('v1', 'Pod'));
 * ```
 */
export { goText } from './go-text.js';
export { applyJsonPatch, type JsonPatchOperation } from './json-patch.js';
export { applyMergePatch } from './merge-patch.js';
export { applyStrategicMergePatch } from './strategic.js';
