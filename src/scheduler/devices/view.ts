/** What plugins see of devices: the cluster's claims and pools, with what is decided but not yet written on top. */
import type { Pod, ResourceV1ResourceClaim as ResourceClaim } from '#types';
import { claimNameFor, PodClaimError, whyNotFor } from '../../api/resources/resource/pod-claims.js';
import type { Inventory } from './allocate.js';

export interface DeviceView {
  /** By `namespace/name`. */
  claim(key: string): ResourceClaim | undefined;
  /** Whether its devices are chosen and being written. */
  isPending(claim: ResourceClaim): boolean;
  inventory(): Inventory;
  /** Takes the devices of a claim back that nobody uses where it is. */
  deallocate(claim: ResourceClaim): void;
}

/** A cluster without devices. */
export const NO_DEVICES: DeviceView = {
  claim: () => undefined,
  isPending: () => false,
  inventory: () => ({ pools: [], taken: new Set(), deviceClass: () => undefined }),
  deallocate() {},
};

/** @throws PodClaimError while one is missing or can't be used */
export function claimsOf(pod: Pod, view: DeviceView): ResourceClaim[] {
  return (pod.spec.resourceClaims ?? []).flatMap((one) => {
    const { name, isOwn } = claimNameFor(pod, one);
    if (name === undefined) return [];
    const claim = view.claim(`${pod.metadata.namespace}/${name}`);
    if (claim === undefined)
      throw new PodClaimError(`resourceclaim.resource.k8s.io ${JSON.stringify(name)} not found`);
    if (claim.metadata.deletionTimestamp)
      throw new PodClaimError(`resourceclaim ${JSON.stringify(name)} is being deleted`);
    const why = isOwn && whyNotFor(pod, claim);
    if (why) throw new PodClaimError(why);
    return [claim];
  });
}

/** Whether a pod has to wait for its claims to be made, before any node is looked at. */
export function lacksClaims(pod: Pod, view: DeviceView): boolean {
  try {
    claimsOf(pod, view);
    return false;
  } catch (error) {
    if (error instanceof PodClaimError) return true;
    throw error;
  }
}
