/** Jobs. */
import type { Job } from '#types';
import { child, type FieldError, invalid, key, required } from '../../machinery/field.js';
import { dns1123Label } from '../../machinery/names.js';
import { labelSelector } from '../../machinery/selectors.js';
import { sameJson } from '../../machinery/validation.js';
import { nameWarnings } from '../apps/workload.js';
import { ageColumn, humanDuration, nameColumn, templateColumns } from '../columns.js';
import { podSpecWarnings } from '../core/podspec/warnings.js';
import { defineResource } from '../define.js';
import { dropUnset } from '../unset.js';
import { defaultJobSpec, isIndexed, validateJobSpec } from './job-spec.js';
import { validateJobStatus } from './job-status.js';
import { validateJobUpdate } from './job-update.js';

const CONTROLLER_UID = 'batch.kubernetes.io/controller-uid';
const JOB_NAME = 'batch.kubernetes.io/job-name';

/** The labels by which a Job knows its pods; those without a prefix are upstream's older ones. */
const generatedLabels = (job: Job): Record<string, string> => ({
  [CONTROLLER_UID]: job.metadata.uid ?? '',
  [JOB_NAME]: job.metadata.name,
  'controller-uid': job.metadata.uid ?? '',
  'job-name': job.metadata.name,
});

/** Gives the template labels that no other Job has, and selects by them. */
function generateSelector(job: Job): void {
  const { spec } = job;
  spec.template.metadata ??= {} as typeof spec.template.metadata & object;
  const meta = spec.template.metadata as { labels?: Record<string, string> };
  meta.labels = { ...generatedLabels(job), ...meta.labels };
  spec.selector ??= {};
  spec.selector.matchLabels = { [CONTROLLER_UID]: job.metadata.uid ?? '', ...spec.selector.matchLabels };
}

function validateGeneratedSelector(job: Job): FieldError[] {
  const { spec } = job;
  if (spec.manualSelector || !spec.selector) return [];
  const expected = generatedLabels(job);
  const at = 'spec.template.metadata.labels';
  const labels = spec.template.metadata?.labels ?? {};
  const errors = Object.entries(expected).flatMap(([label, value]) => {
    if (labels[label] === undefined) return [required(key(at, label), `must be '${value}'`)];
    return labels[label] === value ? [] : [invalid(key(at, label), labels, `must be '${value}'`)];
  });
  try {
    if (!labelSelector(spec.selector).matches(expected))
      errors.push(invalid('spec.selector', spec.selector, '`selector` not auto-generated'));
  } catch {
    // What is wrong with the selector itself is told of it.
  }
  return errors;
}

function validate(job: Job): FieldError[] {
  const errors = [...validateGeneratedSelector(job), ...validateJobSpec(job.spec, 'spec')];
  const completions = job.spec.completions ?? 0;
  if (!isIndexed(job.spec) || completions <= 0) return errors;
  const last = `${job.metadata.name}-${completions - 1}`;
  if (dns1123Label(last).length > 0)
    errors.push(
      invalid(
        child('metadata', 'name'),
        job.metadata.name,
        `will not able to create pod with invalid DNS label: ${last}`,
      ),
    );
  return errors;
}

function warnings(job: Job, old: Job | undefined): string[] {
  const found = nameWarnings(job, old);
  if (!old || !sameJson(job.spec.template, old.spec.template))
    found.push(...podSpecWarnings(job.spec.template.spec!, job.spec.template.metadata, 'spec.template'));
  return found;
}

const holds = (job: Job, type: string): boolean =>
  job.status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;

function state(job: Job): string {
  const ended = ['Complete', 'Failed'].find((type) => holds(job, type));
  if (ended) return ended;
  if (job.metadata.deletionTimestamp) return 'Terminating';
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find((type) => holds(job, type)) ?? 'Running';
}

function completions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function duration({ status }: Job, now: number): string {
  if (!status?.startTime) return '';
  const end = status.completionTime ? Date.parse(status.completionTime) : now;
  return humanDuration(end - Date.parse(status.startTime));
}

export const jobs = defineResource<Job>({
  group: 'batch',
  version: 'v1',
  kind: 'Job',
  plural: 'jobs',
  categories: ['all'],
  namespaced: true,
  generation: true,
  orphansByDefault:
    'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
  subresources: [{ name: 'status', kind: 'Job', verbs: ['get', 'patch', 'update'] }],
  defaults(job) {
    job.spec ??= {} as Job['spec'];
    defaultJobSpec(job.spec);
    if (job.status) dropUnset(job.status, ['active', 'succeeded', 'failed', 'completedIndexes']);
  },
  prepareForCreate(job) {
    job.status = {};
  },
  complete(job) {
    if (!job.spec.manualSelector) generateSelector(job);
    const { labels } = job.spec.template.metadata ?? {};
    if (labels && Object.keys(job.metadata.labels ?? {}).length === 0) job.metadata.labels = { ...labels };
  },
  prepareForStatusUpdate(job, old) {
    job.spec = old.spec;
  },
  validate,
  validateUpdate: validateJobUpdate,
  validateStatusUpdate: validateJobStatus,
  warnings,
  columns: [
    nameColumn,
    {
      name: 'Status',
      type: 'string',
      description: 'Whether the Job runs, is suspended, or how it has ended.',
      cell: state,
    },
    {
      name: 'Completions',
      type: 'string',
      description: 'Pods that have succeeded, of those that have to.',
      cell: completions,
    },
    {
      name: 'Duration',
      type: 'string',
      description: 'Time from the start to the end, or until now.',
      cell: duration,
    },
    ageColumn,
    ...templateColumns<Job>(),
  ],
  fields: { 'status.successful': (job) => `${job.status?.succeeded ?? 0}` },
});
