/** VolumeBinding: a pod goes where its claims have, or can get, their volumes. */
import type { Pod } from '#types';
import { claimNameOf, notForPod } from '../../api/storage/pod-claims.js';
import type { FilterPlugin, Rejection } from '../framework.js';
import { decide, sortClaims } from '../storage/decide.js';
import { claimsOfPod, type StorageView, usesClaims } from '../storage/view.js';

const UNBOUND = 'pod has unbound immediate PersistentVolumeClaims';

const reject = (...reasons: string[]): Rejection => ({ reasons, unresolvable: true });

export const volumeBinding: FilterPlugin = {
  name: 'VolumeBinding',
  helpedByStorage: true,
  preFilter({ pod: { pod }, storage }) {
    if (!usesClaims(pod)) return undefined;
    const broken = brokenClaim(pod, storage);
    if (broken !== undefined) return reject(broken);
    const { immediate } = sortClaims(claimsOfPod(pod, storage), storage);
    return immediate.length > 0 ? reject(UNBOUND) : undefined;
  },
  filter({ pod: { pod }, storage }) {
    if (!usesClaims(pod)) return undefined;
    const sorted = sortClaims(claimsOfPod(pod, storage), storage);
    return ({ node }) => {
      const decision = decide(sorted, node!, storage);
      return Array.isArray(decision) ? reject(...decision) : undefined;
    };
  },
};

/** What is wrong with the first claim that the pod can't be scheduled with. */
function brokenClaim(pod: Pod, storage: StorageView): string | undefined {
  for (const volume of pod.spec.volumes ?? []) {
    const name = claimNameOf(pod, volume);
    if (!name) continue;
    const quoted = JSON.stringify(name);
    const claim = storage.claim(`${pod.metadata.namespace}/${name}`);
    if (claim === undefined)
      return volume.ephemeral
        ? `waiting for ephemeral volume controller to create the persistentvolumeclaim ${quoted}`
        : `persistentvolumeclaim ${quoted} not found`;
    if (claim.status?.phase === 'Lost')
      return `persistentvolumeclaim ${quoted} bound to non-existent persistentvolume ${JSON.stringify(claim.spec.volumeName ?? '')}`;
    if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim ${quoted} is being deleted`;
    const conflict = volume.ephemeral && notForPod(pod, claim);
    if (conflict) return conflict;
  }
  return undefined;
}
