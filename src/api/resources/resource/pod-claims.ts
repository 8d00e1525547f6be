/** Which ResourceClaims a pod uses (upstream `dynamic-resource-allocation/resourceclaim`). */
import type { Pod, PodResourceClaim, ResourceV1ResourceClaim as ResourceClaim } from '#types';

/** Keeps an allocated claim until its devices are free. */
export const CLAIM_FINALIZER = 'resource.kubernetes.io/delete-protection';
/** On a claim of a template: the name that the pod has for it. */
export const POD_CLAIM_ANNOTATION = 'resource.kubernetes.io/pod-claim-name';
export const RESERVED_MAX = 256;

/** A claim that is not there yet, or not for this pod. */
export class PodClaimError extends Error {}

export interface ClaimName {
  /** Undefined: none is needed. */
  name: string | undefined;
  /** It was made for the pod. */
  isOwn: boolean;
}

/** @throws PodClaimError for a claim of a template that was not made yet */
export function claimNameFor({ metadata, status }: Pod, claim: PodResourceClaim): ClaimName {
  if (claim.resourceClaimName) return { name: claim.resourceClaimName, isOwn: false };
  const made = status?.resourceClaimStatuses?.find(({ name }) => name === claim.name);
  if (!made)
    throw new PodClaimError(`pod "${metadata.namespace}/${metadata.name}": ResourceClaim not created yet`);
  return { name: made.resourceClaimName, isOwn: true };
}

export const isReservedFor = ({ metadata }: Pod, { status }: ResourceClaim): boolean =>
  (status?.reservedFor ?? []).some(({ uid }) => uid === metadata.uid);

/** Whether one pod more may use it. */
export const canBeReserved = ({ status }: ResourceClaim): boolean =>
  (status?.reservedFor?.length ?? 0) < RESERVED_MAX;

export const reservation = ({ metadata }: Pod) => ({
  ...{ resource: 'pods', name: metadata.name, uid: metadata.uid ?? '' },
});

/** Why a claim of a template is not this pod's; undefined: it is. */
export function whyNotFor(pod: Pod, { metadata }: ResourceClaim): string | undefined {
  const isOwn = metadata.ownerReferences?.some(
    ({ uid, controller }) => controller && uid === pod.metadata.uid,
  );
  if (isOwn && metadata.namespace === pod.metadata.namespace) return undefined;
  return `ResourceClaim ${metadata.namespace}/${metadata.name} was not created for pod ${pod.metadata.namespace}/${pod.metadata.name} (pod is not owner)`;
}
