/**
 * How ended pods get into a Job's counts, each exactly once: first their uids are written to
 * `uncountedTerminatedPods`, then their finalizers go, then the counts go up (KEP-2307). Pure.
 */
import type { Job, JobStatus, Pod, UncountedTerminatedPods } from '#types';
import { countIndexes, formatIntervals, withIndexes } from '../../api/resources/batch/indexes.js';
import { isIndexed } from '../../api/resources/batch/job-spec.js';
import { completionIndex, isFailed, isTracked } from './pods.js';
import { judgeFailure } from './policies.js';
import type { JobView } from './view.js';

/** Uids that one status may hold. */
const MAX_UNCOUNTED = 500;

export interface Accounting {
  /** The status with the uids of the pods that are to be released. */
  status: JobStatus;
  /** Whether it differs from the Job's. */
  changed: boolean;
  /** Pods whose finalizer may go once the status is written. */
  release: Pod[];
  /** Whether all ended pods are in it. */
  all: boolean;
}

/** `released`: uids whose finalizer is gone already, though the cache still shows it. */
export function accountFor(view: JobView, released: ReadonlySet<string>): Accounting {
  const { job, pods } = view;
  const succeeded = [...(job.status?.uncountedTerminatedPods?.succeeded ?? [])];
  const failed = [...(job.status?.uncountedTerminatedPods?.failed ?? [])];
  const indexes: number[] = [];
  const release: Pod[] = [];
  const indexed = isIndexed(job.spec);
  let changed = false;
  for (const pod of pods) {
    const uid = pod.metadata.uid ?? '';
    if (!isTracked(pod) || released.has(uid) || !mayRelease(view, pod)) continue;
    release.push(pod);
    const index = completionIndex(pod);
    const hasPlace = !indexed || (index !== undefined && index < (job.spec.completions ?? 0));
    if (pod.status?.phase === 'Succeeded' && !failed.includes(uid)) {
      if (!hasPlace) continue;
      // The index itself tells that it is counted.
      if (indexed) indexes.push(index!);
      else if (!succeeded.includes(uid)) changed = succeeded.push(uid) > 0;
    } else if (isFailed(pod, job) || view.end?.type === 'FailureTarget') {
      if (!hasPlace || failed.includes(uid) || !judgeFailure(job.spec.podFailurePolicy, pod).counts) continue;
      changed = failed.push(uid) > 0;
    }
    if (indexes.length + succeeded.length + failed.length >= MAX_UNCOUNTED) break;
  }
  const status: JobStatus = { ...job.status, uncountedTerminatedPods: uncountedOf(succeeded, failed) };
  if (indexed) changed = addIndexes(view, status, indexes) || changed;
  const all = indexes.length + succeeded.length + failed.length < MAX_UNCOUNTED;
  return { status, changed, release, all };
}

function addIndexes(view: JobView, status: JobStatus, indexes: number[]): boolean {
  const { completedIndexes = '', failedIndexes } = status;
  const done = withIndexes(view.succeededBefore, indexes);
  status.succeeded = countIndexes(done);
  const text = formatIntervals(done);
  if (text === '') delete status.completedIndexes;
  else status.completedIndexes = text;
  if (view.failedIndexes) status.failedIndexes = formatIntervals(view.failedIndexes);
  return text !== completedIndexes || failedIndexes !== status.failedIndexes;
}

/** Whether the pod has ended, or its Job no longer cares. */
function mayRelease({ job, end, kept }: JobView, pod: Pod): boolean {
  if (job.metadata.deletionTimestamp !== undefined || end !== undefined) return true;
  if (pod.status?.phase === 'Succeeded') return true;
  if (!isFailed(pod, job)) return false;
  const index = completionIndex(pod);
  return index === undefined || kept.get(index)?.metadata.uid !== pod.metadata.uid;
}

export function uncountedOf(succeeded: string[], failed: string[]): UncountedTerminatedPods {
  return {
    ...(failed.length > 0 ? { failed } : {}),
    ...(succeeded.length > 0 ? { succeeded } : {}),
  };
}

/**
 * The status after the pods for which `isHeld` is false have no finalizer any more: they move from the
 * uncounted to the counts. Undefined when none does.
 */
export function countReleased(job: Job, isHeld: (uid: string) => boolean): JobStatus | undefined {
  const { succeeded = [], failed = [] } = job.status?.uncountedTerminatedPods ?? {};
  const left = { succeeded: succeeded.filter(isHeld), failed: failed.filter(isHeld) };
  const counted = {
    succeeded: succeeded.length - left.succeeded.length,
    failed: failed.length - left.failed.length,
  };
  if (counted.succeeded + counted.failed === 0) return undefined;
  const status: JobStatus = {
    ...job.status,
    uncountedTerminatedPods: uncountedOf(left.succeeded, left.failed),
  };
  for (const field of ['succeeded', 'failed'] as const)
    if (counted[field] > 0) status[field] = (status[field] ?? 0) + counted[field];
  return status;
}
