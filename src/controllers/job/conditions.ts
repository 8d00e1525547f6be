/** Conditions of Jobs. */
import type { Job, JobCondition } from '#types';
import { timestamp } from '../../api/machinery/clock.js';

export function newCondition(
  type: string,
  status: 'True' | 'False',
  reason: string,
  message: string,
  now: number,
): JobCondition {
  const time = timestamp(now);
  return { type, status, lastProbeTime: time, lastTransitionTime: time, reason, message } as JobCondition;
}

export const trueCondition = (job: Job, type: string): JobCondition | undefined =>
  job.status?.conditions?.find((c) => c.type === type && c.status === 'True');

/** `Complete` or `Failed`, if the Job has ended. */
export const endOf = (job: Job): JobCondition | undefined =>
  trueCondition(job, 'Complete') ?? trueCondition(job, 'Failed');

/**
 * The conditions with this one, and whether that changes anything. One that is not there is added only as True.
 */
export function withCondition(
  conditions: readonly JobCondition[],
  next: JobCondition,
): { conditions: JobCondition[]; changed: boolean } {
  const existing = conditions.find((c) => c.type === next.type);
  if (!existing)
    return next.status === 'True'
      ? { conditions: [...conditions, next], changed: true }
      : { conditions: [...conditions], changed: false };
  const { status, reason, message } = existing;
  if (status === next.status && reason === next.reason && message === next.message)
    return { conditions: [...conditions], changed: false };
  return { conditions: conditions.map((c) => (c === existing ? next : c)), changed: true };
}
