/** The Job controller: runs pods until enough of them have succeeded (upstream `pkg/controller/job`). */
import type { Job, JobCondition, JobStatus, Pod } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { jobs, pods } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { namespaceIndex, onChildren } from '../children.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { Expectations } from '../expectations.js';
import { CONTROLLER_INDEX, claim, controllerIndex, controllerOf, orphansOf } from '../owners.js';
import { isNamespaceTerminating } from '../pod-control.js';
import { isPodActive } from '../pods.js';
import { accountFor, countReleased } from './accounting.js';
import { type Backoff, NO_BACKOFF, nextBackoff } from './backoff.js';
import { endOf, newCondition, trueCondition, withCondition } from './conditions.js';
import { isTracked, TRACKING_FINALIZER } from './pods.js';
import { JobScaler, type Scaled } from './scaling.js';
import { isComplete, type JobView, untilDeadline, viewOf } from './view.js';

const OWN_NAME = 'kubernetes.io/job-controller';

export function startJobController(options: ControllersOptions): Controller {
  return new JobController(contextOf(options, 'job-controller')).loop;
}

/** Keys are those of Jobs, and `orphan/<namespace>/<name>` of pods whose Job is gone or has ended. */
class JobController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #jobs: Informer<Job>;
  readonly #pods: Informer<Pod>;
  readonly #expectations: Expectations;
  readonly #scaler: JobScaler;
  readonly #backoffs = new Map<string, Backoff>();
  /** Uids of pods without finalizer that the cache still shows with it. */
  readonly #released = new Set<string>();

  constructor(context: Context) {
    this.#context = context;
    this.#expectations = new Expectations(context.clock);
    this.#scaler = new JobScaler(context, this.#expectations);
    this.#jobs = context.informers.of(jobs, { indexes: { namespace: namespaceIndex } });
    this.#pods = context.informers.of(pods, { indexes: { [CONTROLLER_INDEX]: controllerIndex } });
    this.loop = new WorkLoop(context, [this.#jobs.synced, this.#pods.synced], (key) => this.#reconcile(key));
    const enqueue = (key: string) => this.loop.queue.add(key);
    this.loop.onClose(
      this.#jobs.on({
        added: (job) => enqueue(objectKey(job)),
        updated: (_, job) => enqueue(objectKey(job)),
        deleted: (job) => this.#jobDeleted(job),
      }),
      onChildren({
        parents: this.#jobs,
        parentKind: 'Job',
        children: this.#pods,
        enqueue,
        created: (key) => this.#expectations.creationObserved(key),
        deleted: (key, pod) => this.#expectations.deletionObserved(key, pod.metadata.uid ?? ''),
      }),
      this.#pods.on({
        added: (pod) => this.#podSeen(pod),
        updated: (_, pod) => this.#podSeen(pod),
        deleted: ({ metadata }) => this.#released.delete(metadata.uid ?? ''),
      }),
    );
  }

  #jobDeleted(job: Job): void {
    this.loop.queue.add(objectKey(job));
    for (const pod of this.#pods.byIndex(CONTROLLER_INDEX, job.metadata.uid ?? '')) this.#podSeen(pod);
  }

  #podSeen(pod: Pod): void {
    if (!isTracked(pod)) this.#released.delete(pod.metadata.uid ?? '');
    else if (this.#isOrphan(pod)) this.loop.queue.add(`orphan/${objectKey(pod)}`);
  }

  /** No Job waits to count it. */
  #isOrphan(pod: Pod): boolean {
    const ref = controllerOf(pod);
    if (ref !== undefined && ref.kind !== 'Job') return true;
    const job = ref && this.#jobs.get(`${pod.metadata.namespace}/${ref.name}`);
    return job?.metadata.uid !== ref?.uid || job === undefined || endOf(job) !== undefined;
  }

  async #reconcile(key: string): Promise<void> {
    if (key.startsWith('orphan/')) return this.#releaseOrphan(key.slice('orphan/'.length));
    const job = this.#jobs.get(key);
    if (job === undefined || endOf(job) !== undefined) {
      this.#expectations.forget(key);
      this.#backoffs.delete(key);
      return;
    }
    if ((job.spec.managedBy ?? OWN_NAME) !== OWN_NAME) return;
    await this.#sync(key, job);
  }

  async #releaseOrphan(key: string): Promise<void> {
    const pod = this.#pods.get(key);
    if (pod && isTracked(pod) && this.#isOrphan(pod)) await this.#scaler.release(pod);
  }

  async #sync(key: string, cached: Job): Promise<void> {
    const satisfied = this.#expectations.satisfied(key);
    const all = await this.#podsOf(cached);
    const now = this.#context.clock.now();
    const job = started(cached, now);
    const view = viewOf(job, all, this.#released, now);
    const backoff = nextBackoff(this.#backoffs.get(key) ?? NO_BACKOFF, view.newSucceeded, view.newFailed);
    const { scaled, managed } = await this.#adjustPods(key, view, backoff, satisfied);
    if (!view.end && isComplete(view, scaled.active))
      view.end = newCondition(
        'SuccessCriteriaMet',
        'True',
        'CompletionsReached',
        'Reached expected number of succeeded pods',
        now,
      );
    else if (!view.end && managed) this.#noteSuspension(view, now);
    await this.#writeCounts(key, cached, view, scaled, backoff);
    this.#lookAgain(key, view, scaled, now);
    if (scaled.error !== undefined && !isNamespaceTerminating(scaled.error)) throw scaled.error;
  }

  async #podsOf(job: Job): Promise<Pod[]> {
    const own = this.#pods.byIndex(CONTROLLER_INDEX, job.metadata.uid ?? '');
    const orphans = this.#pods.byIndex(CONTROLLER_INDEX, orphansOf(job.metadata.namespace ?? ''));
    const claimed = await claim<Job, Pod>({
      client: this.#context.client,
      owner: job,
      ownerResource: jobs,
      selector: job.spec.selector,
      resource: pods,
      candidates: [...own, ...orphans.filter(isPodActive)],
    });
    const adopted = claimed.filter((pod) => !isTracked(pod) && !own.some((o) => sameUid(o, pod)));
    for (const pod of adopted) await this.#track(pod);
    return claimed;
  }

  /** Holds an adopted pod until it is counted. */
  async #track({ metadata }: Pod): Promise<void> {
    const patch = { metadata: { uid: metadata.uid, finalizers: [TRACKING_FINALIZER] } };
    await this.#context.client
      .of(pods)
      .patch(metadata.namespace ?? '', metadata.name, patch, { type: 'strategic' });
  }

  /** Pods of a Job that ends are deleted; else there are made as many as should be. */
  async #adjustPods(
    key: string,
    view: JobView,
    backoff: Backoff,
    satisfied: boolean,
  ): Promise<{ scaled: Scaled; managed: boolean }> {
    if (view.end) {
      const scaled = await this.#scaler.deleteActive(key, view);
      // Pods that are left, or not yet seen, have to be counted first.
      if (scaled.active > 0 || !satisfied) view.end = undefined;
      return { scaled, managed: false };
    }
    if (!satisfied || view.job.metadata.deletionTimestamp !== undefined)
      return { scaled: { active: view.active.length }, managed: false };
    return { scaled: await this.#scaler.scale(key, view, backoff), managed: true };
  }

  #noteSuspension(view: JobView, now: number): void {
    const { job } = view;
    const condition = job.spec.suspend
      ? newCondition('Suspended', 'True', 'JobSuspended', 'Job suspended', now)
      : newCondition('Suspended', 'False', 'JobResumed', 'Job resumed', now);
    const { conditions, changed } = withCondition(job.status?.conditions ?? [], condition);
    if (!changed) return;
    const status: JobStatus = { ...job.status, conditions };
    // Of a suspended Job what its pods may use can be changed: it begins anew (KEP-5440).
    if (job.spec.suspend) delete status.startTime;
    else status.startTime = timestamp(now);
    view.job = { ...job, status };
    const [reason, message] = job.spec.suspend ? ['Suspended', 'Job suspended'] : ['Resumed', 'Job resumed'];
    this.#context.events.event(job, 'Normal', reason!, message!);
  }

  /** First the uids, then the finalizers, then the counts, and the end once nothing is left to count. */
  async #writeCounts(
    key: string,
    cached: Job,
    view: JobView,
    scaled: Scaled,
    backoff: Backoff,
  ): Promise<void> {
    const { job, end } = view;
    const accounting = accountFor(view, this.#released);
    const terminating = view.terminating + Math.max(0, view.active.length - scaled.active);
    const status: JobStatus = {
      ...accounting.status,
      ready: Math.min(view.ready, scaled.active),
      terminating,
      active: scaled.active,
    };
    if (scaled.active === 0) delete status.active;
    if (end && !trueCondition(job, end.type)) status.conditions = [...(status.conditions ?? []), end];
    let current = job;
    if (accounting.changed || !sameStatus(cached.status, status))
      current = await this.#updateStatus({ ...job, status });
    else current = { ...job, status: { ...job.status } };
    this.#backoffs.set(key, backoff);
    const failure = await this.#release(accounting.release);
    const held = new Set(view.pods.filter(isTracked).map((pod) => pod.metadata.uid ?? ''));
    const counted = countReleased(current, (uid) => held.has(uid) && !this.#released.has(uid));
    const final = finalStatus(current, counted, accounting.all ? end : undefined, this.#context.clock.now());
    if (counted || final.ended) current = await this.#updateStatus({ ...current, status: final.status });
    if (final.ended) this.#tellEnd(current, final.ended);
    if (failure) throw failure;
  }

  /** Returns the first error. */
  async #release(released: readonly Pod[]): Promise<unknown> {
    const results = await Promise.allSettled(
      released.map(async (pod) => {
        await this.#scaler.release(pod);
        // Unless its event was faster than the answer.
        const known = this.#pods.get(objectKey(pod));
        if (known && isTracked(known) && sameUid(known, pod)) this.#released.add(pod.metadata.uid ?? '');
      }),
    );
    return results.find((result) => result.status === 'rejected')?.reason;
  }

  async #updateStatus(job: Job): Promise<Job> {
    try {
      return await this.#context.client.of(jobs).updateStatus(job);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      return job;
    }
  }

  #tellEnd(job: Job, end: JobCondition): void {
    const { events } = this.#context;
    if (end.type === 'Failed') {
      events.event(job, 'Warning', end.reason ?? '', end.message ?? '');
      return;
    }
    const { completions } = job.spec;
    if (completions !== undefined && (job.status?.succeeded ?? 0) > completions)
      events.event(
        job,
        'Warning',
        'TooManySucceededPods',
        'Too many succeeded pods running after completion count reached',
      );
    events.event(job, 'Normal', 'Completed', 'Job completed');
  }

  #lookAgain(key: string, { job, end }: JobView, { wait }: Scaled, now: number): void {
    if (end) return;
    const deadline = untilDeadline(job, now);
    for (const ms of [wait, deadline]) if (ms !== undefined && ms > 0) this.loop.queue.addAfter(key, ms);
  }
}

const sameUid = (a: Pod, b: Pod): boolean => a.metadata.uid === b.metadata.uid;

/** A Job begins when it is first seen and not suspended. */
function started(job: Job, now: number): Job {
  if (job.status?.startTime !== undefined || job.spec.suspend) return job;
  return { ...job, status: { ...job.status, startTime: timestamp(now) } };
}

const COMPARED = ['active', 'ready', 'terminating', 'startTime', 'failedIndexes'] as const;

function sameStatus(current: JobStatus | undefined, next: JobStatus): boolean {
  return (
    COMPARED.every((field) => current?.[field] === next[field]) &&
    JSON.stringify(current?.conditions ?? []) === JSON.stringify(next.conditions ?? [])
  );
}

/** The status with its last counts, and with the final condition once no pod is left to count or to wait for. */
function finalStatus(
  { status: current }: Job,
  counted: JobStatus | undefined,
  end: JobCondition | undefined,
  now: number,
): { status: JobStatus; ended?: JobCondition } {
  const status = counted ?? { ...current };
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {};
  const busy = succeeded.length + failed.length + (status.terminating ?? 0) + (status.active ?? 0) > 0;
  if (!end || busy) return { status };
  const type = end.type === 'FailureTarget' ? 'Failed' : 'Complete';
  const ended = newCondition(type, 'True', end.reason ?? '', end.message ?? '', now);
  if (type === 'Complete') status.completionTime = timestamp(now);
  return { status: { ...status, conditions: [...(status.conditions ?? []), ended] }, ended };
}
