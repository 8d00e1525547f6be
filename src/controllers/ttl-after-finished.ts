/** Deletes Jobs that ended `ttlSecondsAfterFinished` ago (KEP-592). */
import type { Job } from '#types';
import { isReason } from '../api/machinery/status.js';
import { objectKey } from '../api/machinery/types.js';
import { jobs } from '../api/resources/index.js';
import type { Informer } from '../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';
import { endOf } from './job/conditions.js';

export function startTtlAfterFinished(options: ControllersOptions): Controller {
  return new TtlAfterFinished(contextOf(options, 'ttl-after-finished-controller')).loop;
}

/** When (ms) the Job is to go; undefined while it has no end or no limit. */
export function expiry(job: Job): number | undefined {
  const ttl = job.spec.ttlSecondsAfterFinished;
  const ended = endOf(job)?.lastTransitionTime;
  if (ttl === undefined || ended === undefined || job.metadata.deletionTimestamp) return undefined;
  return Date.parse(ended) + ttl * 1000;
}

class TtlAfterFinished {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #jobs: Informer<Job>;

  constructor(context: Context) {
    this.#context = context;
    this.#jobs = context.informers.of(jobs);
    this.loop = new WorkLoop(context, [this.#jobs.synced], (key) => this.#reconcile(key), 1);
    const seen = (job: Job) => {
      if (expiry(job) !== undefined) this.loop.queue.add(objectKey(job));
    };
    this.loop.onClose(this.#jobs.on({ added: seen, updated: (_, job) => seen(job) }));
  }

  async #reconcile(key: string): Promise<void> {
    const cached = this.#jobs.get(key);
    const left = this.#left(cached);
    if (cached === undefined || left === undefined) return;
    if (left > 0) return this.loop.queue.addAfter(key, left);
    const { namespace = '', name, uid } = cached.metadata;
    const client = this.#context.client.of(jobs);
    try {
      // The limit may have been raised in the meantime.
      const job = await client.get(namespace, name);
      const still = this.#left(job);
      if (still === undefined) return;
      if (still > 0) return this.loop.queue.addAfter(key, still);
      await client.delete(namespace, name, {
        propagationPolicy: 'Foreground',
        preconditions: uid === undefined ? undefined : { uid },
      });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  #left(job: Job | undefined): number | undefined {
    const at = job && expiry(job);
    return at === undefined ? undefined : at - this.#context.clock.now();
  }
}
