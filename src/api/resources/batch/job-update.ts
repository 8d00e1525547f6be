/** What an update of a Job may change (upstream `ValidateJobUpdate`). */
import type { Job, JobSpec, PodTemplateSpec } from '#types';
import { child, type FieldError, invalid } from '../../machinery/field.js';
import { deepCopy } from '../../machinery/types.js';
import { sameJson, validateImmutable, validateNonnegative } from '../../machinery/validation.js';
import { isIndexed } from './job-spec.js';

const FIXED = [
  'selector',
  'completionMode',
  'podFailurePolicy',
  'backoffLimitPerIndex',
  'managedBy',
  'successPolicy',
] as const;

/** Errors of the change alone. */
export function validateJobUpdate(job: Job, old: Job): FieldError[] {
  return [
    ...validateCompletions(job.spec, old.spec, 'spec.completions'),
    ...validateTemplateUpdate(job, old, 'spec.template'),
    ...FIXED.flatMap((field) => validateImmutable(job.spec[field], old.spec[field], child('spec', field))),
  ];
}

/** An Indexed Job may grow and shrink, as long as all its indexes run at once. */
function validateCompletions(spec: JobSpec, old: JobSpec, path: string): FieldError[] {
  if (!isIndexed(spec)) return validateImmutable(spec.completions, old.completions, path);
  if (spec.completions === old.completions || spec.completions === spec.parallelism) return [];
  return [invalid(path, spec.completions, 'can only be modified in tandem with spec.parallelism')];
}

const isSuspended = ({ spec, status }: Job): boolean =>
  spec.suspend === true &&
  (status?.startTime === undefined ||
    (status.conditions?.some((c) => c.type === 'Suspended' && c.status === 'True') === true &&
      (status.active ?? 0) === 0));

/** While a Job is suspended, where its pods run and what they may use can still be changed. */
function validateTemplateUpdate(job: Job, old: Job, path: string): FieldError[] {
  if (!isSuspended(old)) return validateImmutable(job.spec.template, old.spec.template, path);
  const allowed = deepCopy(old.spec.template) as PodTemplateSpec;
  const next = job.spec.template;
  allowed.metadata = {
    ...allowed.metadata,
    labels: next.metadata?.labels,
    annotations: next.metadata?.annotations,
  } as PodTemplateSpec['metadata'];
  const { spec } = allowed;
  if (spec && next.spec) {
    const { nodeSelector, tolerations, schedulingGates } = next.spec;
    Object.assign(spec, { nodeSelector, tolerations, schedulingGates });
    const nodeAffinity = next.spec.affinity?.nodeAffinity;
    spec.affinity = { ...spec.affinity, nodeAffinity };
    for (const list of ['containers', 'initContainers'] as const)
      spec[list]?.forEach((container, i) => {
        const resources = next.spec?.[list]?.[i]?.resources;
        if (resources) container.resources = resources;
      });
  }
  return sameJson(next, JSON.parse(JSON.stringify(allowed)))
    ? []
    : [invalid(path, next, 'field is immutable')];
}

const COUNTS = ['active', 'ready', 'succeeded', 'failed', 'terminating'] as const;
const FINAL = new Set(['Complete', 'Failed']);
const isTrue = (job: Job, type: string): boolean =>
  job.status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;

/** Counts are not negative, and what has ended has ended (upstream `validateJobStatus`). */
export function validateJobStatus(job: Job, old: Job): FieldError[] {
  const status = job.status ?? {};
  const errors = COUNTS.flatMap((field) => validateNonnegative(status[field], child('status', field)));
  const at = 'status.conditions';
  for (const type of [...FINAL, 'FailureTarget', 'SuccessCriteriaMet'])
    if (isTrue(old, type) && !isTrue(job, type))
      errors.push(invalid(at, { type }, `cannot disable the ${type}=True condition`));
  const ended = [...FINAL].filter((type) => isTrue(job, type));
  if (ended.length > 1)
    errors.push(invalid(at, { type: 'Complete' }, 'cannot set Complete=True and Failed=True conditions'));
  if (ended.length > 0 && (status.active ?? 0) > 0)
    errors.push(invalid('status.active', status.active, 'active>0 is invalid for finished job'));
  if (isTrue(job, 'Complete') && status.completionTime === undefined)
    errors.push({
      type: 'FieldValueRequired',
      field: 'status.completionTime',
      message: 'Required value: completionTime is required for Complete jobs',
    });
  return errors;
}
