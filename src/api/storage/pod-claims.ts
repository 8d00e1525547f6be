/** Which claims a pod uses, those of its generic ephemeral volumes included. */
import type { PersistentVolumeClaim, Pod, Volume } from '#types';

export const CLAIM_INDEX = 'claims';

/** The name of the claim behind a volume of the pod; undefined for volumes without one. */
export function claimNameOf({ metadata }: Pod, volume: Volume): string | undefined {
  if (volume.ephemeral) return `${metadata.name}-${volume.name}`;
  return volume.persistentVolumeClaim?.claimName;
}

/** Keys of the pod's claims, for an informer's index. */
export const claimIndex = (pod: Pod): string[] =>
  (pod.spec?.volumes ?? []).flatMap((volume) => {
    const name = claimNameOf(pod, volume);
    return name ? [`${pod.metadata.namespace}/${name}`] : [];
  });

/** Why an ephemeral volume may not use the claim of its name: that is somebody else's. */
export function notForPod(pod: Pod, { metadata }: PersistentVolumeClaim): string | undefined {
  const isOwn = metadata.ownerReferences?.some(
    ({ uid, controller }) => controller && uid === pod.metadata.uid,
  );
  if (isOwn) return undefined;
  return `PVC ${metadata.namespace}/${metadata.name} was not created for pod ${pod.metadata.namespace}/${pod.metadata.name} (pod is not owner)`;
}
