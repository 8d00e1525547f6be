/** DynamicResources: a pod goes where its claims have, or can get, their devices. */
import type { ResourceV1ResourceClaim as ResourceClaim } from '#types';
import { matchesNodeSelector } from '../../api/machinery/node-selector.js';
import { objectKey } from '../../api/machinery/types.js';
import { canBeReserved, isReservedFor, PodClaimError } from '../../api/resources/resource/pod-claims.js';
import { allocate } from '../devices/allocate.js';
import { SelectorError } from '../devices/selectors.js';
import { claimsOf } from '../devices/view.js';
import type { Cycle, FilterPlugin, PostFilterPlugin, Rejection } from '../framework.js';
import type { NodeInfo } from '../node-info.js';

const reject = (reason: string): Rejection => ({ reasons: [reason], unresolvable: true });

const hasClaims = ({ pod }: Cycle): boolean => (pod.pod.spec.resourceClaims?.length ?? 0) > 0;

const isElsewhere = ({ status }: ResourceClaim, { node }: NodeInfo): boolean => {
  const selector = status?.allocation?.nodeSelector;
  return selector !== undefined && !matchesNodeSelector(selector, node!);
};

export const dynamicResources: FilterPlugin & PostFilterPlugin = {
  name: 'DynamicResources',
  helpedByDevices: true,
  preFilter(cycle) {
    if (!hasClaims(cycle)) return undefined;
    try {
      for (const claim of claimsOf(cycle.pod.pod, cycle.devices)) {
        const why = whyNot(claim, cycle);
        if (why !== undefined) return reject(why);
      }
      return undefined;
    } catch (error) {
      if (error instanceof PodClaimError) return reject(error.message);
      throw error;
    }
  },
  filter(cycle) {
    if (!hasClaims(cycle)) return undefined;
    const claims = claimsOf(cycle.pod.pod, cycle.devices);
    const waiting = claims.filter(({ status }) => !status?.allocation);
    const inventory = cycle.devices.inventory();
    return (node) => {
      if (claims.some((claim) => isElsewhere(claim, node)))
        return reject('resourceclaim not available on the node');
      try {
        if (waiting.length > 0 && !allocate(waiting, node.node!, inventory))
          return reject('cannot allocate all claims');
      } catch (error) {
        if (error instanceof SelectorError) return reject(error.message);
        throw error;
      }
      return undefined;
    };
  },
  /** A claim of which nobody uses the devices may get others. */
  postFilter(cycle, rejections) {
    if (!hasClaims(cycle)) return { message: 'no new claims to deallocate' };
    const pod = cycle.pod.pod;
    for (const one of pod.spec.resourceClaims ?? []) {
      const name = one.resourceClaimName;
      const claim = name && cycle.devices.claim(`${pod.metadata.namespace}/${name}`);
      if (!claim || ![...rejections.keys()].some((node) => isElsewhere(claim, node))) continue;
      const users = claim.status?.reservedFor ?? [];
      if (users.some(({ uid }) => uid !== pod.metadata.uid)) continue;
      cycle.devices.deallocate(claim);
      return { message: 'deallocation of ResourceClaim completed' };
    }
    return { message: 'still not schedulable' };
  },
};

/** Why a claim can be used nowhere now. */
function whyNot(claim: ResourceClaim, { pod, devices }: Cycle): string | undefined {
  const { status, spec } = claim;
  if (status?.allocation)
    return canBeReserved(claim) || isReservedFor(pod.pod, claim) ? undefined : 'resourceclaim in use';
  if (devices.isPending(claim))
    return `resource claim ${objectKey(claim)} is in the process of being allocated`;
  const { deviceClass } = devices.inventory();
  for (const { name, exactly, firstAvailable = [] } of spec.devices?.requests ?? []) {
    const parts = exactly
      ? [{ ...exactly, name }]
      : firstAvailable.map((s) => ({ ...s, name: `${name}/${s.name}` }));
    const missing = parts.find((part) => !deviceClass(part.deviceClassName));
    if (missing) return `request ${missing.name}: device class ${missing.deviceClassName} does not exist`;
  }
  return undefined;
}
