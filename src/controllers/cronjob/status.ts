/** What a CronJob's status tells of its Jobs, and which of them are old enough to go. Pure. */
import type { CronJob, CronJobStatus, Job, ObjectReference } from '#types';
import { endOf, trueCondition } from '../job/conditions.js';

export interface Notice {
  type: 'Normal';
  reason: string;
  message: string;
}

export interface Reviewed {
  status: CronJobStatus;
  changed: boolean;
  notices: Notice[];
  /** Jobs that run and that the status does not list: somebody else's, or the status is an old one. */
  unlisted: Job[];
  /** Active ones that are not among the Jobs: they may be gone, or not in the cache yet. */
  unknown: ObjectReference[];
}

const isActive = (status: CronJobStatus, uid: string | undefined): boolean =>
  status.active?.some((ref) => ref.uid === uid) === true;

export function withoutActive(status: CronJobStatus, uid: string | undefined): CronJobStatus {
  const { active: _, ...rest } = status;
  const active = status.active?.filter((ref) => ref.uid !== uid) ?? [];
  return active.length > 0 ? { ...rest, active } : rest;
}

/** Takes from the active list what has ended, and the time of the last success. */
export function reviewJobs(cron: CronJob, jobs: readonly Job[]): Reviewed {
  let status: CronJobStatus = { ...cron.status };
  const notices: Notice[] = [];
  const unlisted: Job[] = [];
  let changed = false;
  for (const job of jobs) {
    const { name, uid } = job.metadata;
    const end = endOf(job);
    const listed = isActive(status, uid);
    if (!listed && !end) unlisted.push(job);
    if (listed && end) {
      status = withoutActive(status, uid);
      changed = true;
      notices.push({
        type: 'Normal',
        reason: 'SawCompletedJob',
        message: `Saw completed job: ${name}, condition: ${end.type}`,
      });
    }
    const success = trueCondition(job, 'Complete') && job.status?.completionTime;
    if (success && Date.parse(success) > Date.parse(status.lastSuccessfulTime ?? '1970-01-01')) {
      status.lastSuccessfulTime = success;
      changed = true;
    }
  }
  const known = new Set(jobs.map((job) => job.metadata.uid));
  const unknown = (status.active ?? []).filter((ref) => !known.has(ref.uid));
  return { status, changed, notices, unlisted, unknown };
}

/** The Jobs beyond the limits of what is kept, those that began first. */
export function outdatedJobs({ spec }: CronJob, jobs: readonly Job[]): Job[] {
  const oldest = (type: string, limit: number | undefined): Job[] => {
    if (limit === undefined) return [];
    const ended = jobs
      .filter((job) => trueCondition(job, type))
      .sort((a, b) => start(a) - start(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
    return ended.slice(0, Math.max(0, ended.length - limit));
  };
  return [
    ...oldest('Complete', spec.successfulJobsHistoryLimit),
    ...oldest('Failed', spec.failedJobsHistoryLimit),
  ];
}

const start = ({ status }: Job): number => Date.parse(status?.startTime ?? '') || 0;
