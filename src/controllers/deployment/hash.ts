/** The hash that names a pod template, in upstream's alphabet (not upstream's value). */
import type { PodTemplateSpec } from '#types';
import { safeEncode } from '../../client/index.js';

/** The label that tells the ReplicaSets of a Deployment apart. */
export const HASH_LABEL = 'pod-template-hash';

/** The same for equal templates in any order of keys; `collisions` gives another when it is taken. */
export function templateHash(template: PodTemplateSpec, collisions: number | undefined): string {
  const text = canonical(template) + (collisions === undefined ? '' : `#${collisions}`);
  return safeEncode(String(fnv1a(text)));
}

/** Whether two (frozen) templates are the same but for the hash label. */
export function equalTemplates(a: PodTemplateSpec, b: PodTemplateSpec): boolean {
  return a === b || comparable(a) === comparable(b);
}

const comparables = new WeakMap<PodTemplateSpec, string>();

function comparable(template: PodTemplateSpec): string {
  let text = comparables.get(template);
  if (text === undefined) {
    text = canonical(withoutHash(template));
    comparables.set(template, text);
  }
  return text;
}

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  if (template.metadata?.labels?.[HASH_LABEL] === undefined) return template;
  const { [HASH_LABEL]: _, ...labels } = template.metadata.labels;
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** JSON with sorted keys. Empty lists, and empty maps of the metadata, are the same as none. */
function canonical(value: unknown, inMetadata = false): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item)).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const field = (value as Record<string, unknown>)[key];
    if (field === undefined || field === null || isEmpty(field, inMetadata)) continue;
    if (inMetadata && key === 'creationTimestamp') continue;
    fields.push(`${JSON.stringify(key)}:${canonical(field, key === 'metadata')}`);
  }
  return `{${fields.join()}}`;
}

function isEmpty(value: unknown, inMetadata: boolean): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return inMetadata && typeof value === 'object' && Object.keys(value as object).length === 0;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
