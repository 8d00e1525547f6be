/** Converts custom objects between the versions of their kind: by the name alone, or by asking a webhook. */
import type { CustomDefinition } from '../../api/extensions/custom-resource.js';
import type { KubeObject } from '../../api/machinery/types.js';

/** Asks a webhook for objects in another version; rejects with StatusError. */
export type ConversionWebhook = (
  definition: CustomDefinition,
  objects: KubeObject[],
  apiVersion: string,
) => Promise<KubeObject[]>;

/** Whether objects are only renamed. */
export const isRenaming = ({ crd }: CustomDefinition): boolean => crd.spec.conversion?.strategy !== 'Webhook';

/** An object as another version calls it; the given one is not changed. */
export function renamed(object: KubeObject, apiVersion: string): KubeObject {
  const { apiVersion: _, kind, ...rest } = object;
  return { apiVersion, kind, ...rest };
}
