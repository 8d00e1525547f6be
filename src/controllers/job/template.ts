/** The pods that a Job makes. */
import type { Container, Job, Pod, PodTemplateSpec } from '#types';
import { deepCopy } from '../../api/machinery/types.js';
import {
  COMPLETION_INDEX,
  INDEX_FAILURES,
  INDEX_IGNORED_FAILURES,
  indexFailures,
  indexIgnoredFailures,
  TRACKING_FINALIZER,
} from './pods.js';
import { judgeFailure } from './policies.js';

const INDEX_ENV = 'JOB_COMPLETION_INDEX';
/** What is left of a name for what generateName adds. */
const MAX_PREFIX = 63 - 5;

interface Template extends PodTemplateSpec {
  metadata: NonNullable<PodTemplateSpec['metadata']>;
}

/** The template of a pod that is not of an index. */
export function jobTemplate({ spec }: Job): Template {
  const template = deepCopy(spec.template) as Template;
  template.metadata ??= {} as Template['metadata'];
  const { finalizers = [] } = template.metadata;
  if (!finalizers.includes(TRACKING_FINALIZER))
    template.metadata.finalizers = [...finalizers, TRACKING_FINALIZER];
  return template;
}

/** The template of the pod of an index; `replaced` is the one before it that failed. */
export function indexTemplate(job: Job, index: number, replaced: Pod | undefined): Template {
  const template = jobTemplate(job);
  const { metadata, spec } = template;
  metadata.annotations = { ...metadata.annotations, [COMPLETION_INDEX]: `${index}` };
  metadata.labels = { ...metadata.labels, [COMPLETION_INDEX]: `${index}` };
  if (spec) {
    spec.hostname = `${job.metadata.name}-${index}`;
    for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])])
      addIndexEnv(container);
  }
  if (job.spec.backoffLimitPerIndex !== undefined)
    Object.assign(metadata.annotations, failureCounts(job, replaced));
  return template;
}

export function indexPrefix({ metadata }: Job, index: number): string {
  const end = `-${index}-`;
  return `${metadata.name.slice(0, MAX_PREFIX - end.length)}${end}`;
}

function addIndexEnv(container: Container): void {
  if (container.env?.some(({ name }) => name === INDEX_ENV)) return;
  const fieldRef = { fieldPath: `metadata.labels['${COMPLETION_INDEX}']` };
  container.env = [...(container.env ?? []), { name: INDEX_ENV, valueFrom: { fieldRef } }];
}

function failureCounts(job: Job, replaced: Pod | undefined): Record<string, string> {
  if (!replaced) return { [INDEX_FAILURES]: '0' };
  const { counts } = judgeFailure(job.spec.podFailurePolicy, replaced);
  const ignored = indexIgnoredFailures(replaced) + (counts ? 0 : 1);
  return {
    [INDEX_FAILURES]: `${indexFailures(replaced) + (counts ? 1 : 0)}`,
    ...(ignored > 0 ? { [INDEX_IGNORED_FAILURES]: `${ignored}` } : {}),
  };
}
