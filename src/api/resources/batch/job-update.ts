/** What an update of a Job may change (upstream `ValidateJobUpdate`). */
import type { Job, JobSpec, PodTemplateSpec } from '#types';
import { child, type FieldError, invalid } from '../../machinery/field.js';
import { deepCopy } from '../../machinery/types.js';
import { sameJson, validateImmutable } from '../../machinery/validation.js';
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
  const { completions } = spec;
  if (completions === undefined || completions === old.completions || completions === spec.parallelism)
    return [];
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
