/** The groups above the pods': what all pods may have together, and how the classes share it (kubelet `cm/qos_container_manager`). */
import type { Pod } from '#types';
import { quantityMilli, quantityValue } from '../../api/machinery/quantity.js';
import type { Limits } from '../../runtime/types.js';
import { cpuShares, podRequest, qosClass } from '../pods/resources.js';

const MIN_SHARES = 2;

/** By path below the node's own group; '' is that. `whole`: what the node keeps for pods. */
export function qosLimits(pods: Pod[], whole: Record<string, string>): Record<string, Limits> {
  const burstable = pods.filter((pod) => qosClass(pod) === 'Burstable');
  const asked = burstable.reduce((sum, pod) => sum + podRequest(pod, 'cpu', quantityMilli), 0);
  const memory = quantityValue(whole['memory']);
  return {
    '': { cpuShares: cpuShares(quantityMilli(whole['cpu'])), ...(memory > 0 ? { memory } : {}) },
    burstable: { cpuShares: cpuShares(asked) },
    besteffort: { cpuShares: MIN_SHARES },
  };
}
