/** Creates and deletes a Job's pods. */
import type { Job, Pod } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { isIndexed } from '../../api/resources/batch/job-spec.js';
import { pods } from '../../api/resources/index.js';
import type { Context } from '../context.js';
import type { Expectations } from '../expectations.js';
import { createPod, deletePod } from '../pod-control.js';
import { podsToDelete } from '../replicaset/ranking.js';
import { slowStart } from '../slow-start.js';
import { type Backoff, remainingBackoff } from './backoff.js';
import { dueIndexes, pendingIndexes, surplusPods } from './indexes.js';
import { isTracked, TRACKING_FINALIZER } from './pods.js';
import { indexPrefix, indexTemplate, jobTemplate } from './template.js';
import { type JobView, planPods } from './view.js';

/** The most pods that one reconcile creates or deletes. */
const BURST = 500;

export interface Scaled {
  /** Pods that are active now. */
  active: number;
  error?: unknown;
  /** Milliseconds after which more pods may be created. */
  wait?: number | undefined;
}

export class JobScaler {
  readonly #context: Context;
  readonly #expectations: Expectations;

  constructor(context: Context, expectations: Expectations) {
    this.#context = context;
    this.#expectations = expectations;
  }

  /** Brings the number of active pods to what it should be. */
  async scale(key: string, view: JobView, backoff: Backoff): Promise<Scaled> {
    const active = view.active.length;
    const plan = planPods(view);
    if (plan.type === 'delete') return this.#shrink(key, view, Math.min(plan.count, BURST));
    if (plan.type === 'create') return this.#grow(key, view, Math.min(plan.count, BURST), backoff);
    const { spec } = view.job;
    const surplus = isIndexed(spec) ? surplusPods(view.active, spec.completions ?? 0) : [];
    if (surplus.length === 0) return { active };
    return this.#remove(key, view.job, surplus, active);
  }

  /** Deletes pods of a Job that has ended; they keep their finalizers and are counted. */
  async deleteActive(key: string, { job, active }: JobView): Promise<Scaled> {
    return this.#deleteAll(key, job, active, active.length, (pod) => deletePod(this.#context, pod, job));
  }

  /** Takes off the finalizer. A pod that is gone needs none. */
  async release(pod: Pod): Promise<void> {
    const { namespace = '', name, uid } = pod.metadata;
    const patch = { metadata: { uid, '$deleteFromPrimitiveList/finalizers': [TRACKING_FINALIZER] } };
    try {
      await this.#context.client.of(pods).patch(namespace, name, patch, { type: 'strategic' });
    } catch (error) {
      // A conflict means that the name is that of another pod by now.
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  }

  #shrink(key: string, view: JobView, count: number): Promise<Scaled> {
    const { job, active } = view;
    const surplus = isIndexed(job.spec) ? surplusPods(active, job.spec.completions ?? 0) : [];
    const rest = active.filter((pod) => !surplus.includes(pod));
    const more = Math.max(0, count - surplus.length);
    const ranked = podsToDelete(rest, [], more, this.#context.clock.now());
    return this.#remove(key, job, [...surplus, ...ranked], active.length);
  }

  /** Deletes pods that are not to be counted. */
  #remove(key: string, job: Job, victims: Pod[], active: number): Promise<Scaled> {
    this.#expectDeletions(key, victims);
    return this.#deleteAll(key, job, victims, active, async (pod) => {
      if (isTracked(pod)) await this.release(pod);
      await deletePod(this.#context, pod, job);
    });
  }

  #expectDeletions(key: string, victims: Pod[]): void {
    this.#expectations.expectDeletions(
      key,
      victims.map((pod) => pod.metadata.uid ?? ''),
    );
  }

  async #deleteAll(
    key: string,
    job: Job,
    victims: Pod[],
    active: number,
    remove: (pod: Pod) => Promise<void>,
  ): Promise<Scaled> {
    let left = active;
    const results = await Promise.allSettled(
      victims.map(async (pod) => {
        try {
          await remove(pod);
          left--;
        } catch (error) {
          this.#expectations.deletionObserved(key, pod.metadata.uid ?? '');
          if (!isReason(error, 'NotFound')) throw error;
          left--;
        }
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) this.#context.logger.debug({ err: failed.reason, job: job.metadata.name }, 'pods are left');
    return { active: left, ...(failed ? { error: failed.reason } : {}) };
  }

  #grow(key: string, view: JobView, count: number, backoff: Backoff): Promise<Scaled> | Scaled {
    const { job, active } = view;
    const now = this.#context.clock.now();
    const perIndex = job.spec.backoffLimitPerIndex !== undefined;
    const wait = perIndex ? 0 : remainingBackoff(backoff, now);
    if (wait > 0) return { active: active.length, wait };
    if (!isIndexed(job.spec)) {
      const template = jobTemplate(job);
      return this.#create(key, view, count, () => createPod(this.#context, template, job));
    }
    const done = view.failedIndexes ?? [];
    const pending = pendingIndexes(job.spec.completions ?? 0, count, active, view.succeededIndexes, done);
    const { due, wait: next } = perIndex
      ? dueIndexes(pending, view.kept, now)
      : { due: pending, wait: undefined };
    if (due.length === 0) return { active: active.length, wait: next };
    return this.#create(
      key,
      view,
      due.length,
      (i) => {
        const index = due[i]!;
        const template = indexTemplate(job, index, view.kept.get(index));
        return createPod(this.#context, template, job, indexPrefix(job, index));
      },
      next,
    );
  }

  async #create(
    key: string,
    view: JobView,
    count: number,
    create: (i: number) => Promise<void>,
    wait?: number,
  ): Promise<Scaled> {
    this.#expectations.expectCreations(key, count);
    let tried = 0;
    const { successes, error } = await slowStart(count, async () => {
      try {
        await create(tried++);
      } catch (failure) {
        this.#expectations.creationObserved(key);
        throw failure;
      }
    });
    for (let i = tried; i < count; i++) this.#expectations.creationObserved(key);
    return { active: view.active.length + successes, error, wait };
  }
}
