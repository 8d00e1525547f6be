/** The CronJob controller: starts Jobs on a schedule (upstream `cronjob_controllerv2.go`). */
import type { CronJob, CronJobStatus, Job, ObjectReference } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { CronError, isTimeZone } from '../../api/machinery/cron.js';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { cronJobs, jobs } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { namespaceIndex, onChildren } from '../children.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { CONTROLLER_INDEX, controllerIndex, controllerRef } from '../owners.js';
import { isNamespaceTerminating } from '../pod-control.js';
import { mostRecentDue, openSchedule, type Schedule } from './schedule.js';
import { outdatedJobs, reviewJobs, withoutActive } from './status.js';

const SCHEDULED_AT = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
/** A little later than the time itself, so that the clock has surely passed it. */
const DELTA_MS = 100;
const DAY_MS = 24 * 3600_000;

export function startCronJobController(options: ControllersOptions): Controller {
  return new CronJobController(contextOf(options, 'cronjob-controller')).loop;
}

class CronJobController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #crons: Informer<CronJob>;
  readonly #jobs: Informer<Job>;

  constructor(context: Context) {
    this.#context = context;
    this.#crons = context.informers.of(cronJobs, { indexes: { namespace: namespaceIndex } });
    this.#jobs = context.informers.of(jobs, { indexes: { [CONTROLLER_INDEX]: controllerIndex } });
    this.loop = new WorkLoop(context, [this.#crons.synced, this.#jobs.synced], (key) => this.#reconcile(key));
    const enqueue = (key: string) => this.loop.queue.add(key);
    this.loop.onClose(
      this.#crons.on({
        added: (cron) => enqueue(objectKey(cron)),
        updated: (_, cron) => enqueue(objectKey(cron)),
      }),
      onChildren({ parents: this.#crons, parentKind: 'CronJob', children: this.#jobs, enqueue }),
    );
  }

  async #reconcile(key: string): Promise<void> {
    const cron = this.#crons.get(key);
    if (cron === undefined) return;
    const own = this.#jobs.byIndex(CONTROLLER_INDEX, cron.metadata.uid ?? '');
    const run = new Run(this.#context, cron, own);
    try {
      const wait = await run.sync();
      // Timers are short, so that a clock that is set is noticed.
      if (wait !== undefined) this.loop.queue.addAfter(key, Math.min(wait, DAY_MS));
    } finally {
      await run.write();
    }
  }
}

/** One look at one CronJob. */
class Run {
  readonly #context: Context;
  #cron: CronJob;
  readonly #jobs: readonly Job[];
  #status: CronJobStatus;
  #changed = false;

  constructor(context: Context, cron: CronJob, own: readonly Job[]) {
    this.#context = context;
    this.#cron = cron;
    this.#jobs = own;
    this.#status = { ...cron.status };
  }

  /** Resolves with the ms until the next time, if there is one to wait for. */
  async sync(): Promise<number | undefined> {
    await this.#review();
    for (const job of outdatedJobs(this.#cron, this.#jobs)) await this.#deleteJob(job);
    const { metadata, spec } = this.#cron;
    if (metadata.deletionTimestamp !== undefined || spec.suspend) return undefined;
    const schedule = this.#schedule();
    return schedule && this.#start(schedule);
  }

  /** Writes what has changed of the status. */
  async write(): Promise<void> {
    if (!this.#changed) return;
    this.#changed = false;
    await this.#context.client.of(cronJobs).updateStatus({ ...this.#cron, status: this.#status });
  }

  #tell(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#context.events.event(this.#cron, type, reason, message);
  }

  async #review(): Promise<void> {
    let reviewed = reviewJobs(this.#cron, this.#jobs);
    if (reviewed.unlisted.length > 0) {
      const { namespace = '', name } = this.#cron.metadata;
      this.#cron = await this.#context.client.of(cronJobs).get(namespace, name);
      reviewed = reviewJobs(this.#cron, this.#jobs);
    }
    const { status, changed, notices, unlisted, unknown } = reviewed;
    for (const { metadata } of unlisted)
      this.#tell(
        'Warning',
        'UnexpectedJob',
        `Saw a job that the controller did not create or forgot: ${metadata.name}`,
      );
    this.#status = status;
    this.#changed = changed;
    for (const { type, reason, message } of notices) this.#tell(type, reason, message);
    for (const ref of unknown) {
      // The cache may be behind.
      if ((await this.#liveJob(ref)) !== undefined) continue;
      this.#tell('Normal', 'MissingJob', `Active job went missing: ${ref.name}`);
      this.#status = withoutActive(this.#status, ref.uid);
      this.#changed = true;
    }
  }

  async #liveJob({ namespace = '', name = '' }: ObjectReference): Promise<Job | undefined> {
    try {
      return await this.#context.client.of(jobs).get(namespace, name);
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  #schedule(): Schedule | undefined {
    const { schedule, timeZone } = this.#cron.spec;
    if (timeZone !== undefined && !isTimeZone(timeZone)) {
      this.#tell('Warning', 'UnknownTimeZone', `invalid timeZone: ${JSON.stringify(timeZone)}`);
      return undefined;
    }
    try {
      return openSchedule(schedule, timeZone);
    } catch (error) {
      if (!(error instanceof CronError)) throw error;
      this.#tell(
        'Warning',
        'UnparseableSchedule',
        `unparseable schedule: ${JSON.stringify(schedule)} : ${error.message}`,
      );
      return undefined;
    }
  }

  /** Starts a Job if it is time. */
  async #start(schedule: Schedule): Promise<number | undefined> {
    const now = this.#context.clock.now();
    const time = this.#dueTime(schedule, now);
    if (time !== undefined) await this.#startAt(time, now);
    const next = schedule.next(time ?? now);
    return next === undefined ? undefined : Math.max(0, next - now) + DELTA_MS;
  }

  #dueTime(schedule: Schedule, now: number): number | undefined {
    const { metadata, spec } = this.#cron;
    const { lastScheduleTime } = this.#status;
    const last = Date.parse(lastScheduleTime ?? metadata.creationTimestamp ?? '');
    const deadline = spec.startingDeadlineSeconds;
    const since = deadline === undefined ? last : Math.max(last, now - deadline * 1000);
    try {
      const { time, manyMissed } = mostRecentDue(schedule, since, now);
      if (manyMissed)
        this.#tell(
          'Warning',
          'TooManyMissedTimes',
          'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew',
        );
      return time;
    } catch (error) {
      this.#tell(
        'Warning',
        'InvalidSchedule',
        `invalid schedule: ${spec.schedule} : ${(error as Error).message}`,
      );
      return undefined;
    }
  }

  async #startAt(time: number, now: number): Promise<void> {
    const { startingDeadlineSeconds: deadline, concurrencyPolicy } = this.#cron.spec;
    if (deadline !== undefined && time + deadline * 1000 < now) {
      const when = new Date(time).toUTCString().replace('GMT', 'UTC');
      this.#tell('Warning', 'MissSchedule', `Missed scheduled time to start a job: ${when}`);
      return;
    }
    const active = this.#status.active ?? [];
    const name = jobName(this.#cron, time);
    if (active.some((ref) => ref.name === name) || this.#status.lastScheduleTime === timestamp(time)) return;
    if (concurrencyPolicy === 'Forbid' && active.length > 0) {
      this.#tell(
        'Normal',
        'JobAlreadyActive',
        'Not starting job because prior execution is running and concurrency policy is Forbid',
      );
      return;
    }
    if (concurrencyPolicy === 'Replace')
      for (const ref of active) {
        const job = await this.#liveJob(ref);
        if (job !== undefined) await this.#deleteJob(job);
      }
    await this.#createJob(time);
  }

  async #createJob(time: number): Promise<void> {
    let job: Job;
    try {
      job = await this.#context.client.of(jobs).create(jobOf(this.#cron, time));
      this.#tell('Normal', 'SuccessfulCreate', `Created job ${job.metadata.name}`);
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      const known = isReason(error, 'AlreadyExists') ? await this.#ownJob(time) : undefined;
      if (!known) {
        if (isReason(error, 'AlreadyExists')) return;
        this.#tell('Warning', 'FailedCreate', `Error creating job: ${(error as Error).message}`);
        throw error;
      }
      job = known;
    }
    const { apiVersion, kind, metadata } = job;
    const { namespace, name, uid, resourceVersion } = metadata;
    const ref: ObjectReference = { kind, namespace, name, uid, apiVersion, resourceVersion };
    this.#status = {
      ...this.#status,
      active: [...(this.#status.active ?? []), ref],
      lastScheduleTime: timestamp(time),
    };
    this.#changed = true;
    await this.write();
  }

  /** The Job of this time, if an earlier try made it and could not tell so in the status. */
  async #ownJob(time: number): Promise<Job | undefined> {
    const { namespace, uid } = this.#cron.metadata;
    const job = await this.#liveJob({ namespace, name: jobName(this.#cron, time) });
    return job?.metadata.ownerReferences?.some((ref) => ref.controller && ref.uid === uid) ? job : undefined;
  }

  async #deleteJob(job: Job): Promise<void> {
    const { namespace = '', name, uid } = job.metadata;
    try {
      await this.#context.client
        .of(jobs)
        .delete(namespace, name, { propagationPolicy: 'Background', preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound')) {
        this.#tell('Warning', 'FailedDelete', `Deleted job: ${(error as Error).message}`);
        throw error;
      }
    }
    this.#tell('Normal', 'SuccessfulDelete', `Deleted job ${name}`);
    if (this.#status.active?.some((ref) => ref.uid === uid)) {
      this.#status = withoutActive(this.#status, uid);
      this.#changed = true;
    }
  }
}

/** One name a minute: a time that is served twice makes one Job. */
const jobName = ({ metadata }: CronJob, time: number): string =>
  `${metadata.name}-${Math.floor(time / 60_000)}`;

function jobOf(cron: CronJob, time: number): Job {
  const { metadata = {} as Job['metadata'], spec } = cron.spec.jobTemplate;
  const zone = cron.spec.timeZone ?? 'UTC';
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(cron, time),
      namespace: cron.metadata.namespace,
      ...(metadata.labels ? { labels: { ...metadata.labels } } : {}),
      annotations: { ...metadata.annotations, [SCHEDULED_AT]: localTime(time, zone) },
      ownerReferences: [controllerRef(cron)],
    },
    spec: spec!,
  } as Job;
}

/** RFC 3339 with the offset of the time zone. */
function localTime(time: number, timeZone: string): string {
  if (timeZone === 'UTC') return timestamp(time);
  const text = new Date(time).toLocaleString('en-GB', { timeZone, timeZoneName: 'longOffset' });
  const offset = /GMT([+-]\d\d:\d\d)?$/.exec(text)?.[1] ?? '+00:00';
  const sign = offset.startsWith('-') ? -1 : 1;
  const [hours = 0, minutes = 0] = offset.slice(1).split(':').map(Number);
  const shifted = new Date(time + sign * (hours * 60 + minutes) * 60_000);
  return `${shifted.toISOString().slice(0, 19)}${offset === '+00:00' ? 'Z' : offset}`;
}
