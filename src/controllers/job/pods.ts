/** What the Job controller reads from pods: the tracking finalizer, completion indexes, when and how they ended. */
import type { Job, Pod } from '#types';
import { podCondition } from '../pods.js';

/** Keeps a pod until the Job has counted how it ended. */
export const TRACKING_FINALIZER = 'batch.kubernetes.io/job-tracking';
export const COMPLETION_INDEX = 'batch.kubernetes.io/job-completion-index';
export const INDEX_FAILURES = 'batch.kubernetes.io/job-index-failure-count';
export const INDEX_IGNORED_FAILURES = 'batch.kubernetes.io/job-index-ignored-failure-count';

export const isTracked = (pod: Pod): boolean =>
  pod.metadata.finalizers?.includes(TRACKING_FINALIZER) === true;

/** Undefined for a pod without a valid one. */
export function completionIndex(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[COMPLETION_INDEX];
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

const count = (pod: Pod, annotation: string): number =>
  Number(pod.metadata.annotations?.[annotation] ?? 0) || 0;

/** Failures of the pod's index before it that count against `backoffLimitPerIndex`. */
export const indexFailures = (pod: Pod): number => count(pod, INDEX_FAILURES);
export const indexIgnoredFailures = (pod: Pod): number => count(pod, INDEX_IGNORED_FAILURES);
export const allIndexFailures = (pod: Pod): number => indexFailures(pod) + indexIgnoredFailures(pod);

/** Whether a pod is replaced only once it has failed, not as soon as it is on its way out. */
export const replacesOnlyFailed = (job: Job): boolean => job.spec.podReplacementPolicy === 'Failed';

/** Failed, or deleted before it could end: such a pod may never get to a phase. */
export function isFailed(pod: Pod, job: Job): boolean {
  if (pod.status?.phase === 'Failed') return true;
  if (replacesOnlyFailed(job)) return false;
  return pod.metadata.deletionTimestamp !== undefined && pod.status?.phase !== 'Succeeded';
}

/** When (ms) the pod ended, as well as it can be told. */
export function finishedAt(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? []).map((s) => s.state?.terminated?.finishedAt);
  if (ends.length > 0 && ends.every((end) => end !== undefined))
    return Math.max(...ends.map((end) => Date.parse(end!)));
  const ready = podCondition(pod, 'Ready');
  if (ready?.status === 'False' && ready.lastTransitionTime) return Date.parse(ready.lastTransitionTime);
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = pod.metadata;
  if (deletionTimestamp) return Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
  return Date.parse(creationTimestamp ?? '') || 0;
}

/** How often the containers of pods that still run were restarted. */
export function restartsOf(pods: readonly Pod[]): number {
  let restarts = 0;
  for (const { status } of pods) {
    if (status?.phase !== 'Running' && status?.phase !== 'Pending') continue;
    for (const container of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])])
      restarts += container.restartCount;
  }
  return restarts;
}
