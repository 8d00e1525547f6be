/** The status of a StatefulSet, computed from its pods (upstream `updateStatus`, `completeRollingUpdate`). */
import type { StatefulSetStatus } from '#types';
import { isPodAvailable, nonZero } from '../pods.js';
import { revisionOf } from './identity.js';
import { isRunningAndReady, type View } from './plan.js';

/** `outdated`: how many pods have just been deleted for their revision. */
export function statefulSetStatus(
  view: View,
  outdated: number,
  collisionCount: number | undefined,
): StatefulSetStatus {
  const { set, pods, current, update, now } = view;
  const replicas = set.spec.replicas ?? 1;
  const ready = pods.filter(isRunningAndReady);
  const available = ready.filter((pod) => isPodAvailable(pod, set.spec.minReadySeconds ?? 0, now));
  const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const ofRevision = (name: string): number => alive.filter((pod) => revisionOf(pod) === name).length;
  const updated = ofRevision(update.metadata.name);
  const isComplete =
    set.spec.updateStrategy?.type === 'RollingUpdate' &&
    updated === replicas &&
    ready.length === replicas &&
    pods.length === replicas;
  const conditions = set.status?.conditions;
  return {
    replicas: pods.length,
    availableReplicas: available.length,
    ...nonZero({
      observedGeneration: set.metadata.generation ?? 0,
      readyReplicas: ready.length,
      currentReplicas: isComplete ? updated : Math.max(0, ofRevision(current.metadata.name) - outdated),
      updatedReplicas: updated,
    }),
    currentRevision: isComplete ? update.metadata.name : current.metadata.name,
    updateRevision: update.metadata.name,
    collisionCount: collisionCount ?? 0,
    ...(conditions === undefined ? {} : { conditions }),
  };
}

const FIELDS = [
  'replicas',
  'readyReplicas',
  'availableReplicas',
  'currentReplicas',
  'updatedReplicas',
  'observedGeneration',
  'collisionCount',
] as const;

/** Whether writing `next` would change nothing. */
export const sameStatefulSetStatus = (
  current: StatefulSetStatus | undefined,
  next: StatefulSetStatus,
): boolean =>
  FIELDS.every((field) => (current?.[field] ?? 0) === (next[field] ?? 0)) &&
  current?.currentRevision === next.currentRevision &&
  current?.updateRevision === next.updateRevision;
