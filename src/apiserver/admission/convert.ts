/** Objects of a request in the version of their kind that a webhook or policy matches. */
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { type ConversionWebhook, isRenaming, renamed } from '../extensions/convert.js';
import type { AdmissionRequest } from './admission.js';
import type { Matched } from './matching.js';

/** The object in another version of its resource; a copy. Rejects with StatusError. */
export async function convertObject(
  webhook: ConversionWebhook,
  object: KubeObject,
  from: Resource,
  to: Resource,
): Promise<KubeObject> {
  if (to.custom) {
    // The body of a subresource is of a kind of its own.
    if (object.apiVersion !== from.apiVersion) return object;
    const { definition } = to.custom;
    if (isRenaming(definition)) return renamed(object, to.apiVersion);
    return (await webhook(definition, [object], to.apiVersion))[0]!;
  }
  const stored = from.conversion ? from.conversion.toStored(object) : object;
  return to.conversion ? to.conversion.fromStored(stored) : stored;
}

/** The request's objects as the matched version has them. */
export async function objectsOf(
  webhook: ConversionWebhook,
  { object, old, resource }: AdmissionRequest,
  { convert }: Matched,
): Promise<{ object: KubeObject | undefined; old: KubeObject | undefined }> {
  if (!convert) return { object, old };
  const view = async (each: KubeObject | undefined) =>
    each && convertObject(webhook, each, resource, convert);
  const [newObject, oldObject] = await Promise.all([view(object), view(old)]);
  return { object: newObject, old: oldObject };
}
