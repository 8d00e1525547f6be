/** All that one look at a Job and its pods tells, and whether the Job is to end (upstream `syncJob`). Pure. */
import type { Job, JobCondition, Pod } from '#types';
import { countIndexes, type Intervals } from '../../api/resources/batch/indexes.js';
import { isIndexed } from '../../api/resources/batch/job-spec.js';
import { isPodActive, isPodReady, isPodTerminating } from '../pods.js';
import { newCondition, trueCondition } from './conditions.js';
import { failedIndexes, podsToKeep, succeededIndexes } from './indexes.js';
import { completionIndex, isFailed, isTracked, restartsOf } from './pods.js';
import { judgeFailure, matchSuccess } from './policies.js';

export interface JobView {
  job: Job;
  pods: readonly Pod[];
  active: Pod[];
  terminating: number;
  ready: number;
  /** Ended pods that neither the counts nor `uncountedTerminatedPods` hold yet. */
  newSucceeded: Pod[];
  newFailed: Pod[];
  succeeded: number;
  failed: number;
  /** Of Indexed Jobs; empty for others. */
  succeededBefore: Intervals;
  succeededIndexes: Intervals;
  /** Undefined without `backoffLimitPerIndex`. */
  failedIndexes: Intervals | undefined;
  /** Failed pods that stay until they are replaced, by index. */
  kept: Map<number, Pod>;
  /** The end of the Job, before its last pods are gone: `FailureTarget` or `SuccessCriteriaMet`. */
  end: JobCondition | undefined;
}

const EMPTY: Intervals = [];

/** `released` are uids of pods whose finalizer is taken off already, though the cache still shows it. */
export function viewOf(job: Job, pods: readonly Pod[], released: ReadonlySet<string>, now: number): JobView {
  const active = pods.filter(isPodActive);
  const uncounted = job.status?.uncountedTerminatedPods ?? {};
  const fresh = (known: string[] | undefined, ended: (pod: Pod) => boolean): Pod[] =>
    pods.filter(
      (pod) =>
        isTracked(pod) &&
        !released.has(pod.metadata.uid ?? '') &&
        !known?.includes(pod.metadata.uid ?? '') &&
        hasPlace(pod, job) &&
        ended(pod),
    );
  const newSucceeded = fresh(uncounted.succeeded, (pod) => pod.status?.phase === 'Succeeded');
  const newFailed = fresh(uncounted.failed, (pod) => isFailed(pod, job));
  const view: JobView = {
    job,
    pods,
    active,
    terminating: pods.filter(isPodTerminating).length,
    ready: active.filter(isPodReady).length,
    newSucceeded,
    newFailed,
    succeeded: (job.status?.succeeded ?? 0) + newSucceeded.length + (uncounted.succeeded?.length ?? 0),
    failed:
      (job.status?.failed ?? 0) +
      newFailed.filter((pod) => judgeFailure(job.spec.podFailurePolicy, pod).counts).length +
      (uncounted.failed?.length ?? 0),
    succeededBefore: EMPTY,
    succeededIndexes: EMPTY,
    failedIndexes: undefined,
    kept: new Map(),
    end: undefined,
  };
  if (isIndexed(job.spec)) addIndexes(view);
  view.end = endingOf(view, now);
  return view;
}

/** Pods of an Indexed Job count only with an index of it. */
function hasPlace(pod: Pod, { spec }: Job): boolean {
  if (!isIndexed(spec)) return true;
  const index = completionIndex(pod);
  return index !== undefined && index < (spec.completions ?? 0);
}

function addIndexes(view: JobView): void {
  const { job, pods, active } = view;
  const { before, now } = succeededIndexes(job, pods);
  view.succeededBefore = before;
  view.succeededIndexes = now;
  view.succeeded = countIndexes(now);
  if (job.spec.backoffLimitPerIndex === undefined) return;
  view.failedIndexes = failedIndexes(job, pods);
  view.kept = podsToKeep(job, pods, active, now, view.failedIndexes);
}

const isSuspended = ({ spec }: Job): boolean => spec.suspend === true;

/** Milliseconds until the Job has been active for too long; undefined without such a limit. */
export function untilDeadline({ spec, status }: Job, now: number): number | undefined {
  const seconds = spec.activeDeadlineSeconds;
  if (seconds === undefined || spec.suspend || !status?.startTime) return undefined;
  return Date.parse(status.startTime) + seconds * 1000 - now;
}

/** Why the Job ends now, if it does other than by its completions. */
function endingOf(view: JobView, now: number): JobCondition | undefined {
  const { job, pods } = view;
  const decided = trueCondition(job, 'SuccessCriteriaMet') ?? trueCondition(job, 'FailureTarget');
  if (decided) return decided;
  const fail = (reason: string, message: string) =>
    newCondition('FailureTarget', 'True', reason, message, now);
  for (const pod of pods) {
    const message = isFailed(pod, job) ? judgeFailure(job.spec.podFailurePolicy, pod).message : undefined;
    if (message !== undefined) return fail('PodFailurePolicy', message);
  }
  if (view.failed > (job.spec.backoffLimit ?? 6) || isPastRestarts(view))
    return fail('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  if ((untilDeadline(job, now) ?? 1) <= 0)
    return fail('DeadlineExceeded', 'Job was active longer than specified deadline');
  return indexedEnding(view, fail, now);
}

function isPastRestarts({ job, pods }: JobView): boolean {
  if (job.spec.template.spec?.restartPolicy !== 'OnFailure') return false;
  const limit = job.spec.backoffLimit ?? 6;
  const restarts = restartsOf(pods);
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

function indexedEnding(
  view: JobView,
  fail: (reason: string, message: string) => JobCondition,
  now: number,
): JobCondition | undefined {
  const { spec } = view.job;
  if (!isIndexed(spec)) return undefined;
  const completions = spec.completions ?? 0;
  const failed = view.failedIndexes && countIndexes(view.failedIndexes);
  if (failed !== undefined) {
    if (spec.maxFailedIndexes !== undefined && failed > spec.maxFailedIndexes)
      return fail(
        'MaxFailedIndexesExceeded',
        'Job has exceeded the specified maximal number of failed indexes',
      );
    if (failed > 0 && failed + view.succeeded >= completions)
      return fail('FailedIndexes', 'Job has failed indexes');
  }
  const met = matchSuccess(spec.successPolicy, completions, view.succeededIndexes);
  return met === undefined
    ? undefined
    : newCondition('SuccessCriteriaMet', 'True', 'SuccessPolicy', met, now);
}

/** Whether as many pods have succeeded as should; `active` pods are counted after those of this round. */
export function isComplete({ job, succeeded }: JobView, active: number): boolean {
  const { completions } = job.spec;
  if (active > 0) return false;
  return completions === undefined ? succeeded > 0 : succeeded >= completions;
}

export type PodsPlan =
  | { type: 'delete'; count: number }
  | { type: 'create'; count: number }
  | { type: 'none' };

/** How many pods there should be more or fewer. */
export function planPods(view: JobView): PodsPlan {
  const { job, succeeded } = view;
  const active = view.active.length;
  if (isSuspended(job)) return active > 0 ? { type: 'delete', count: active } : { type: 'none' };
  const { completions, parallelism = 1 } = job.spec;
  const wanted =
    completions === undefined
      ? succeeded > 0
        ? active
        : parallelism
      : Math.max(0, Math.min(parallelism, completions - succeeded));
  if (active > wanted) return { type: 'delete', count: active - wanted };
  const terminating = job.spec.podReplacementPolicy === 'Failed' ? view.terminating : 0;
  const missing = wanted - active - terminating;
  return missing > 0 ? { type: 'create', count: missing } : { type: 'none' };
}
