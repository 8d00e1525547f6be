/** The status of a DaemonSet, computed from nodes and pods (upstream `updateDaemonSetStatus`). */
import type { DaemonSetStatus } from '#types';
import { isPodAvailable, isPodReady, nonZero } from '../pods.js';
import { isUpdated, placementOn } from './placement.js';
import { oldestFirst, type View } from './plan.js';

/** `observed`: the generation that has been acted on. */
export function daemonSetStatus(
  view: View,
  observed: number | undefined,
  collisionCount: number | undefined,
): DaemonSetStatus {
  const { set, nodes, pods, hash, now } = view;
  const counts = { desired: 0, current: 0, misscheduled: 0, ready: 0, available: 0, updated: 0 };
  for (const node of nodes) {
    const here = pods.get(node.metadata.name) ?? [];
    if (!placementOn(node, set.spec.template).run) {
      if (here.length > 0) counts.misscheduled++;
      continue;
    }
    counts.desired++;
    const [pod] = here.toSorted(oldestFirst);
    if (pod === undefined) continue;
    counts.current++;
    if (isPodReady(pod)) counts.ready++;
    if (isPodAvailable(pod, set.spec.minReadySeconds ?? 0, now)) counts.available++;
    if (isUpdated(pod, hash)) counts.updated++;
  }
  const conditions = set.status?.conditions;
  return {
    currentNumberScheduled: counts.current,
    numberMisscheduled: counts.misscheduled,
    desiredNumberScheduled: counts.desired,
    numberReady: counts.ready,
    ...nonZero({
      observedGeneration: observed ?? 0,
      updatedNumberScheduled: counts.updated,
      numberAvailable: counts.available,
      numberUnavailable: counts.desired - counts.available,
    }),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    ...(conditions === undefined ? {} : { conditions }),
  };
}

const FIELDS = [
  'currentNumberScheduled',
  'numberMisscheduled',
  'desiredNumberScheduled',
  'numberReady',
  'observedGeneration',
  'updatedNumberScheduled',
  'numberAvailable',
  'numberUnavailable',
  'collisionCount',
] as const;

/** Whether writing `next` would change nothing. */
export const sameDaemonSetStatus = (current: DaemonSetStatus | undefined, next: DaemonSetStatus): boolean =>
  FIELDS.every((field) => (current?.[field] ?? 0) === (next[field] ?? 0));
