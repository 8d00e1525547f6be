/** Puts what a webhook or policy made of an object in the object's place. */
import { isDeepStrictEqual } from 'node:util';
import { deepCopy, type KubeObject } from '../../api/machinery/types.js';
import { decode } from '../../api/schema/index.js';
import type { ConversionWebhook } from '../extensions/convert.js';
import type { AdmissionRequest } from './admission.js';
import { convertObject } from './convert.js';
import type { Matched } from './matching.js';

/**
 * `change` gets the object as the matched version has it and returns another; the draft of the request then has that
 * content, with the defaults of what is new. Returns whether anything changed; throws what is wrong with the result.
 */
export async function replaceObject(
  webhook: ConversionWebhook,
  request: AdmissionRequest,
  { convert }: Matched,
  change: (object: KubeObject) => KubeObject,
): Promise<boolean> {
  const draft = request.object!;
  const before = convert
    ? await convertObject(webhook, deepCopy(draft), request.resource, convert)
    : deepCopy(draft);
  const made = change(before);
  const changed = convert ? await convertObject(webhook, made, convert, request.resource) : made;
  const { apiVersion, kind } = draft;
  const { object } = decode<KubeObject>(apiVersion, kind, changed, { mode: 'ignore' });
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = object;
  const next = { apiVersion, kind, metadata: metadata ?? draft.metadata, ...rest } as KubeObject;
  if (apiVersion === request.resource.apiVersion && kind === request.resource.kind)
    request.resource.defaults?.(next);
  if (isDeepStrictEqual(next, draft)) return false;
  for (const key of Object.keys(draft)) delete draft[key];
  Object.assign(draft, next);
  return true;
}
