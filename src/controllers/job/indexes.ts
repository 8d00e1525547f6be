/** Indexed Jobs: which indexes are done, which have failed, and which get a pod next (upstream `indexed_job_utils.go`). */
import type { Job, Pod } from '#types';
import { hasIndex, type Intervals, parseIntervals, withIndexes } from '../../api/resources/batch/indexes.js';
import { remainingBackoff } from './backoff.js';
import { allIndexFailures, completionIndex, finishedAt, indexFailures, isFailed, isTracked } from './pods.js';
import { judgeFailure } from './policies.js';

/** The index of a pod, if it is one of the Job's. */
function indexOf(pod: Pod, completions: number): number | undefined {
  const index = completionIndex(pod);
  return index !== undefined && index < completions ? index : undefined;
}

/** Those that the status tells, and those of pods that it does not count yet. */
export function succeededIndexes(
  { spec, status }: Job,
  pods: readonly Pod[],
): { before: Intervals; now: Intervals } {
  const completions = spec.completions ?? 0;
  const before = parseIntervals(status?.completedIndexes, completions);
  const found = new Set<number>();
  for (const pod of pods) {
    const index = indexOf(pod, completions);
    if (index === undefined || pod.status?.phase !== 'Succeeded' || !isTracked(pod)) continue;
    if (!hasIndex(before, index)) found.add(index);
  }
  return { before, now: withIndexes(before, [...found]) };
}

/** Those that have failed more often than `backoffLimitPerIndex` allows, or by a FailIndex rule. */
export function failedIndexes(job: Job, pods: readonly Pod[]): Intervals {
  const completions = job.spec.completions ?? 0;
  const before = parseIntervals(job.status?.failedIndexes, completions);
  const found = new Set<number>();
  for (const pod of pods) {
    const index = indexOf(pod, completions);
    if (index === undefined || !isTracked(pod) || hasIndex(before, index)) continue;
    if (failsIndex(job, pod)) found.add(index);
  }
  return withIndexes(before, [...found]);
}

function failsIndex(job: Job, pod: Pod): boolean {
  if (!isFailed(pod, job)) return false;
  const { counts, action } = judgeFailure(job.spec.podFailurePolicy, pod);
  if (action === 'FailIndex') return true;
  return counts && indexFailures(pod) >= (job.spec.backoffLimitPerIndex ?? 0);
}

/**
 * The failed pods, by index, that stay until they are replaced: their annotations tell the replacement how
 * often the index has failed.
 */
export function podsToKeep(
  job: Job,
  pods: readonly Pod[],
  active: readonly Pod[],
  succeeded: Intervals,
  failed: Intervals,
): Map<number, Pod> {
  const completions = job.spec.completions ?? 0;
  const running = new Set(active.map(completionIndex));
  const kept = new Map<number, Pod>();
  for (const pod of pods) {
    const index = indexOf(pod, completions);
    if (index === undefined || !isTracked(pod) || running.has(index) || !isFailed(pod, job)) continue;
    if (hasIndex(succeeded, index) || hasIndex(failed, index)) continue;
    const last = kept.get(index);
    const later =
      !last || (allIndexFailures(last) <= allIndexFailures(pod) && finishedAt(pod) >= finishedAt(last));
    if (later) kept.set(index, pod);
  }
  return kept;
}

/** Up to `count` of the lowest indexes that have neither ended nor a pod. */
export function pendingIndexes(
  completions: number,
  count: number,
  active: readonly Pod[],
  ...done: Intervals[]
): number[] {
  const running = new Set(active.map(completionIndex));
  const result: number[] = [];
  for (let index = 0; index < completions && result.length < count; index++)
    if (!running.has(index) && !done.some((intervals) => hasIndex(intervals, index))) result.push(index);
  return result;
}

/** Which of the indexes may have a new pod now, and in how many ms the next of the others may. */
export function dueIndexes(
  indexes: readonly number[],
  kept: ReadonlyMap<number, Pod>,
  now: number,
): { due: number[]; wait: number | undefined } {
  const due: number[] = [];
  let wait: number | undefined;
  for (const index of indexes) {
    const pod = kept.get(index);
    const left = pod
      ? remainingBackoff({ failures: allIndexFailures(pod) + 1, lastFailure: finishedAt(pod) }, now)
      : 0;
    if (left === 0) due.push(index);
    else wait = Math.min(wait ?? left, left);
  }
  return { due, wait };
}

/** Pods of an index that has another, or that is none any more: they go first. */
export function surplusPods(active: readonly Pod[], completions: number): Pod[] {
  const seen = new Set<number>();
  const surplus: Pod[] = [];
  for (const pod of active.toSorted((a, b) => finishedOrCreated(a) - finishedOrCreated(b))) {
    const index = completionIndex(pod);
    if (index === undefined || index >= completions || seen.has(index)) surplus.push(pod);
    else seen.add(index);
  }
  return surplus;
}

const finishedOrCreated = (pod: Pod): number => Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
