/**
 * Validation of a Job's status (upstream `ValidateJobStatusUpdate`, KEP-4368): controllers other than the cluster's own
 * may write it. Most rules hold only for what a write changes, so that an odd status can still be mended.
 */
import type { Job, JobSpec, JobStatus } from '#types';
import { child, duplicate, type FieldError, index, invalid, required } from '../../machinery/field.js';
import { sameJson, validateNonnegative } from '../../machinery/validation.js';
import { countCommon, type Intervals, parseIndexesStrictly, parseIntervals } from './indexes.js';
import { isIndexed } from './job-spec.js';

const COUNTS = ['active', 'succeeded', 'failed', 'ready', 'terminating'] as const;
const CONDITIONS = 'status.conditions';

const holds = (status: JobStatus, type: string): boolean =>
  status.conditions?.some((c) => c.type === type && c.status === 'True') === true;

const isFinished = (status: JobStatus): boolean => holds(status, 'Complete') || holds(status, 'Failed');

/** An error of the conditions as a whole, without a value. */
const wrongConditions = (detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field: CONDITIONS,
  message: `Invalid value: ${detail}`,
});

export function validateJobStatus(job: Job, old: Job): FieldError[] {
  const status = job.status ?? {};
  const before = old.status ?? {};
  return [
    ...COUNTS.flatMap((field) => validateNonnegative(status[field], child('status', field))),
    ...validateUncounted(status),
    ...validateEnd(status, before),
    ...validateTimes(status, before),
    ...validateFinished(status, before),
    ...validateIndexes(job.spec, status, before),
    ...validateSuccess(job.spec, status),
    ...validateChange(job.spec, status, before),
  ];
}

/** The uids of ended pods, each once. */
function validateUncounted({ uncountedTerminatedPods }: JobStatus): FieldError[] {
  const seen = new Set<string>();
  return (['succeeded', 'failed'] as const).flatMap((list) =>
    (uncountedTerminatedPods?.[list] ?? []).flatMap((uid, i) => {
      const path = index(child('status.uncountedTerminatedPods', list), i);
      if (uid === '') return [invalid(path, uid, 'must not be empty')];
      if (seen.has(uid)) return [duplicate(path, uid)];
      seen.add(uid);
      return [];
    }),
  );
}

/** Which conditions exclude or require each other. */
function validateEnd(status: JobStatus, before: JobStatus): FieldError[] {
  const changed = (...types: string[]) => types.some((type) => holds(status, type) !== holds(before, type));
  const complete = holds(status, 'Complete');
  const errors: FieldError[] = [];
  const check = (wrong: boolean, detail: string) => {
    if (wrong) errors.push(wrongConditions(detail));
  };
  if (changed('Complete', 'Failed'))
    check(complete && holds(status, 'Failed'), 'cannot set Complete=True and Failed=true conditions');
  if (changed('Complete', 'FailureTarget'))
    check(
      complete && holds(status, 'FailureTarget'),
      'cannot set Complete=True and FailureTarget=true conditions',
    );
  if (changed('Failed', 'FailureTarget'))
    check(
      holds(status, 'Failed') && !holds(status, 'FailureTarget'),
      'cannot set Failed=True condition without the FailureTarget=true condition',
    );
  if (changed('Complete', 'SuccessCriteriaMet'))
    check(
      complete && !holds(status, 'SuccessCriteriaMet'),
      'cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
    );
  return errors;
}

function validateTimes(status: JobStatus, before: JobStatus): FieldError[] {
  const { startTime, completionTime } = status;
  const errors: FieldError[] = [];
  const at = 'status.completionTime';
  const complete = holds(status, 'Complete');
  const ended = completionTime !== before.completionTime;
  if (ended || complete !== holds(before, 'Complete')) {
    if (completionTime !== undefined && !complete)
      errors.push(
        invalid(at, completionTime, 'cannot set completionTime when there is no Complete=True condition'),
      );
    if (completionTime === undefined && complete)
      errors.push(required(at, 'completionTime is required for Complete jobs'));
  }
  const backwards = Date.parse(completionTime ?? '') < Date.parse(startTime ?? '');
  if (backwards && (ended || startTime !== before.startTime))
    errors.push(invalid(at, completionTime, 'completionTime cannot be set before startTime'));
  return errors;
}

/** What has ended has no pods left. */
function validateFinished(status: JobStatus, before: JobStatus): FieldError[] {
  if (!isFinished(status)) return validateReady(status, before);
  const errors: FieldError[] = [];
  const ends = !isFinished(before);
  const changed = (field: keyof JobStatus) => ends || !sameJson(status[field], before[field]);
  const { active = 0, terminating = 0, uncountedTerminatedPods: uncounted } = status;
  if (changed('active') && active > 0)
    errors.push(invalid('status.active', active, 'active>0 is invalid for finished job'));
  if (changed('startTime') && status.startTime === undefined)
    errors.push(required('status.startTime', 'startTime is required for finished job'));
  const left = (uncounted?.failed?.length ?? 0) + (uncounted?.succeeded?.length ?? 0);
  if (changed('uncountedTerminatedPods') && left > 0)
    errors.push(
      invalid(
        'status.uncountedTerminatedPods',
        uncounted,
        'uncountedTerminatedPods needs to be empty for finished job',
      ),
    );
  if (changed('terminating') && terminating > 0)
    errors.push(invalid('status.terminating', terminating, 'terminating>0 is invalid for finished job'));
  return [...errors, ...validateReady(status, before)];
}

function validateReady(status: JobStatus, before: JobStatus): FieldError[] {
  const { active = 0, ready = 0 } = status;
  const same = active === (before.active ?? 0) && ready === (before.ready ?? 0);
  return same || ready <= active
    ? []
    : [invalid('status.ready', ready, 'cannot set more ready pods than active')];
}

function validateIndexes(spec: JobSpec, status: JobStatus, before: JobStatus): FieldError[] {
  const { completions } = spec;
  const { completedIndexes = '', failedIndexes } = status;
  const errors: FieldError[] = [];
  const check = (field: 'completedIndexes' | 'failedIndexes', text: string) => {
    if (completions === undefined) return;
    try {
      parseIndexesStrictly(text, completions);
    } catch (error) {
      const detail = `error parsing ${field}: ${(error as Error).message}`;
      errors.push(invalid(child('status', field), text, detail));
    }
  };
  const completedChanged = completedIndexes !== (before.completedIndexes ?? '');
  const failedChanged = failedIndexes !== before.failedIndexes;
  if (completedChanged) {
    check('completedIndexes', completedIndexes);
    if (completedIndexes !== '' && !isIndexed(spec))
      errors.push(
        invalid(
          'status.completedIndexes',
          completedIndexes,
          'cannot set non-empty completedIndexes when non-indexed completion mode',
        ),
      );
  }
  if (failedIndexes === undefined) return errors;
  if (failedChanged) {
    if (spec.backoffLimitPerIndex !== undefined) check('failedIndexes', failedIndexes);
    else
      errors.push(
        invalid(
          'status.failedIndexes',
          failedIndexes,
          'cannot set non-null failedIndexes when backoffLimitPerIndex is null',
        ),
      );
  }
  if (!completedChanged && !failedChanged) return errors;
  const both = (text: string) => parseIntervals(text, completions ?? 0);
  const first = firstCommon(both(completedIndexes), both(failedIndexes));
  if (first !== undefined)
    errors.push(
      invalid(
        'status.failedIndexes',
        failedIndexes,
        `failedIndexes and completedIndexes overlap at index: ${first}`,
      ),
    );
  return errors;
}

function firstCommon(a: Intervals, b: Intervals): number | undefined {
  if (countCommon(a, b) === 0) return undefined;
  const starts = a.flatMap(([first, last]) =>
    b.filter(([from, to]) => first <= to && from <= last).map(([from]) => Math.max(first, from)),
  );
  return Math.min(...starts);
}

function validateSuccess(spec: JobSpec, status: JobStatus): FieldError[] {
  const met = holds(status, 'SuccessCriteriaMet');
  const errors: FieldError[] = [];
  for (const type of ['Failed', 'FailureTarget'])
    if (met && holds(status, type))
      errors.push(wrongConditions(`cannot set SuccessCriteriaMet=True and ${type}=true conditions`));
  if (spec.successPolicy && !met && holds(status, 'Complete'))
    errors.push(
      wrongConditions('cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True'),
    );
  return errors;
}

/** What may not be taken back. */
function validateChange(spec: JobSpec, status: JobStatus, before: JobStatus): FieldError[] {
  const errors: FieldError[] = [];
  for (const type of ['Failed', 'Complete', 'FailureTarget'])
    if (holds(before, type) && !holds(status, type))
      errors.push(wrongConditions(`cannot disable the terminal ${type}=True condition`));
  const shrinks = isIndexed(spec) && spec.completions === spec.parallelism;
  for (const field of ['failed', 'succeeded'] as const)
    if ((status[field] ?? 0) < (before[field] ?? 0) && !(field === 'succeeded' && shrinks))
      errors.push(
        invalid(child('status', field), status[field] ?? 0, `cannot decrease the ${field} counter`),
      );
  const { startTime, completionTime } = status;
  const moved = before.completionTime !== undefined && completionTime !== before.completionTime;
  if (completionTime !== undefined && moved)
    errors.push(invalid('status.completionTime', completionTime, 'completionTime cannot be mutated'));
  if (before.startTime !== undefined && startTime !== before.startTime && !spec.suspend)
    errors.push(required('status.startTime', 'startTime cannot be removed for unsuspended job'));
  const met = 'SuccessCriteriaMet';
  if (holds(before, met) && !holds(status, met))
    errors.push(wrongConditions('cannot disable the SuccessCriteriaMet=True condition'));
  if (holds(before, 'Complete') && !holds(before, met) && holds(status, met))
    errors.push(
      wrongConditions('cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions'),
    );
  return errors;
}
