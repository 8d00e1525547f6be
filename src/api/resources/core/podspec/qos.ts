/** The quality of service class of a pod: who is evicted first, and which cgroup it lives in. */
import type { Pod, PodSpec, ResourceList } from '#types';
import { quantityMilli } from '../../../machinery/quantity.js';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const NAMES = ['cpu', 'memory'] as const;

type Sums = Partial<Record<'cpu' | 'memory', number>>;

/** Adds the positive quantities of `list` and tells whether both cpu and memory were among them. */
function addTo(sums: Sums, list: ResourceList | undefined): boolean {
  let both = true;
  for (const name of NAMES) {
    const milli = list?.[name] === undefined ? 0 : quantityMilli(list[name]);
    if (milli > 0) sums[name] = (sums[name] ?? 0) + milli;
    else both = false;
  }
  return both;
}

function compute(spec: PodSpec): QosClass {
  const requests: Sums = {};
  const limits: Sums = {};
  let guaranteed = true;
  if (spec.resources) {
    addTo(requests, spec.resources.requests);
    guaranteed = addTo(limits, spec.resources.limits);
  } else {
    for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
      addTo(requests, container.resources?.requests);
      if (!addTo(limits, container.resources?.limits)) guaranteed = false;
    }
  }
  const names = NAMES.filter((name) => requests[name] !== undefined || limits[name] !== undefined);
  if (names.length === 0) return 'BestEffort';
  return guaranteed && names.every((name) => requests[name] === limits[name]) ? 'Guaranteed' : 'Burstable';
}

/** What the spec amounts to now, whatever the status says (for resize). */
export const computeQosClass = (pod: Pod): QosClass => compute(pod.spec);

/** The pod's class: that of the status, which never changes, else that of the spec. */
export const podQosClass = (pod: Pod): QosClass =>
  (pod.status?.qosClass as QosClass | undefined) ?? compute(pod.spec);
