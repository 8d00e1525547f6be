/** The annotation by which `kubectl apply` without `--server-side` remembers what it applied. */
import { deepCopy, type KubeObject } from '../machinery/types.js';
import { compare } from './compare.js';
import { difference, type FieldSet } from './field-set.js';
import { fieldsOf } from './fields-of.js';
import { goJson } from './path-element.js';
import { isMap, type Shape } from './shape.js';
import { validate } from './validate.js';

export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

/**
 * The fields that client-side apply owns: those of the annotation that still have its values. Undefined where
 * there is no annotation that can be read, or it is of another version.
 */
export function lastAppliedFields(shape: Shape, apiVersion: string, live: KubeObject): FieldSet | undefined {
  const text = live.metadata.annotations?.[LAST_APPLIED];
  if (!text) return undefined;
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isMap(config) || config['apiVersion'] !== apiVersion || validate(shape, config) !== undefined)
    return undefined;
  const { removed, modified, added } = compare(shape, config, live);
  return [modified, added, removed].reduce(difference, fieldsOf(shape, config));
}

/** Brings the annotation, where there is one, to the configuration that was applied by the server. */
export function syncLastApplied(object: KubeObject, config: KubeObject): KubeObject {
  if (!object.metadata.annotations?.[LAST_APPLIED]) return object;
  const annotations: Record<string, string> = { ...object.metadata.annotations };
  const value = lastAppliedText(config);
  if (annotationsBytes({ ...annotations, [LAST_APPLIED]: value }) > MAX_ANNOTATIONS_BYTES)
    delete annotations[LAST_APPLIED];
  else annotations[LAST_APPLIED] = value;
  return { ...object, metadata: { ...object.metadata, annotations } };
}

function annotationsBytes(annotations: Record<string, string>): number {
  let bytes = 0;
  for (const key in annotations)
    bytes += Buffer.byteLength(key) + Buffer.byteLength(annotations[key] as string);
  return bytes;
}

function lastAppliedText(config: KubeObject): string {
  const copy = deepCopy(config);
  if (copy.metadata?.annotations) delete copy.metadata.annotations[LAST_APPLIED];
  return `${goJson(sorted(copy))}\n`;
}

/** With the keys of all maps in order, as Go writes them. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
