/** Deployments. */
import type { Deployment, DeploymentStrategy, RollingUpdateDeployment } from '#types';
import { child, type FieldError, forbidden, invalid, notSupported, required } from '../../machinery/field.js';
import { sameJson, validateImmutable, validateNonnegative } from '../../machinery/validation.js';
import { ageColumn, nameColumn, templateColumns } from '../columns.js';
import { defaultPodTemplate } from '../core/podspec/defaults.js';
import { defineResource, REPLICAS, SCALE } from '../define.js';
import { sizeOf, validateAtMostAll, validateIntOrPercent } from '../int-or-percent.js';
import { dropUnset } from '../unset.js';
import {
  nameWarnings,
  templateWarnings,
  validateCounts,
  validateSelector,
  validateTemplate,
} from './workload.js';

const PARTS = ['updatedReplicas', 'readyReplicas', 'availableReplicas'] as const;
const COUNTS = ['observedGeneration', 'replicas', ...PARTS, 'unavailableReplicas'] as const;

function defaults(deployment: Deployment): void {
  deployment.spec ??= {} as Deployment['spec'];
  const { spec } = deployment;
  dropUnset(spec, ['paused', 'minReadySeconds']);
  if (deployment.status) dropUnset(deployment.status, COUNTS);
  spec.replicas ??= 1;
  spec.strategy ??= {};
  spec.strategy.type ||= 'RollingUpdate';
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {};
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
    spec.strategy.rollingUpdate.maxSurge ??= '25%';
  }
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  spec.template ??= {} as Deployment['spec']['template'];
  defaultPodTemplate(spec.template);
}

function validate({ spec }: Deployment): FieldError[] {
  const errors = [
    ...validateNonnegative(spec.replicas, 'spec.replicas'),
    ...validateSelector(spec.selector, 'spec.selector'),
    ...validateTemplate(spec.template, spec.selector, 'ReplicaSet'),
    ...validateStrategy(spec.strategy ?? {}, 'spec.strategy'),
    ...validateNonnegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...validateNonnegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit'),
    ...validateNonnegative(spec.progressDeadlineSeconds, 'spec.progressDeadlineSeconds'),
  ];
  const deadline = spec.progressDeadlineSeconds;
  if (deadline !== undefined && deadline <= (spec.minReadySeconds ?? 0))
    errors.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  return errors;
}

function validateStrategy(strategy: DeploymentStrategy, path: string): FieldError[] {
  const at = child(path, 'rollingUpdate');
  switch (strategy.type) {
    case 'Recreate':
      return strategy.rollingUpdate
        ? [forbidden(at, "may not be specified when strategy `type` is 'Recreate'")]
        : [];
    case 'RollingUpdate':
      return strategy.rollingUpdate
        ? validateRollingUpdate(strategy.rollingUpdate, at)
        : [required(at, 'this should be defaulted and never be nil')];
    default:
      return [notSupported(path, strategy, ['Recreate', 'RollingUpdate'])];
  }
}

function validateRollingUpdate(rolling: RollingUpdateDeployment, path: string): FieldError[] {
  const { maxUnavailable, maxSurge } = rolling;
  const at = child(path, 'maxUnavailable');
  const errors = [
    ...validateIntOrPercent(maxUnavailable, at),
    ...validateIntOrPercent(maxSurge, child(path, 'maxSurge')),
  ];
  if (sizeOf(maxUnavailable) === 0 && sizeOf(maxSurge) === 0)
    errors.push(invalid(at, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
  errors.push(...validateAtMostAll(maxUnavailable, at));
  return errors;
}

function validateStatus(deployment: Deployment, old: Deployment): FieldError[] {
  const errors = validateCounts(
    { ...deployment.status },
    [...COUNTS, 'terminatingReplicas', 'collisionCount'],
    PARTS,
  );
  const [now, before] = [deployment.status?.collisionCount, old.status?.collisionCount];
  if (before !== undefined && (now ?? -1) < before)
    errors.push(invalid('status.collisionCount', now ?? 0, 'cannot be decremented'));
  return errors;
}

export const deployments = defineResource<Deployment>({
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  shortNames: ['deploy'],
  categories: ['all'],
  namespaced: true,
  generation: true,
  scale: REPLICAS,
  subresources: [SCALE, { name: 'status', kind: 'Deployment', verbs: ['get', 'patch', 'update'] }],
  defaults,
  prepareForCreate(deployment) {
    deployment.status = {};
  },
  prepareForUpdate(deployment, old) {
    // The controller copies annotations to the ReplicaSets, so they count as what is asked for.
    if (!sameJson(deployment.metadata.annotations, old.metadata.annotations))
      deployment.metadata.generation = (old.metadata.generation ?? 0) + 1;
  },
  prepareForStatusUpdate(deployment, old) {
    deployment.spec = old.spec;
    if (old.metadata.labels) deployment.metadata.labels = old.metadata.labels;
    else delete deployment.metadata.labels;
  },
  validate,
  validateUpdate: (deployment, old) =>
    validateImmutable(deployment.spec.selector, old.spec.selector, 'spec.selector'),
  validateStatusUpdate: validateStatus,
  warnings: (object, old) => [...nameWarnings(object, old), ...templateWarnings(object, old)],
  columns: [
    nameColumn,
    {
      name: 'Ready',
      type: 'string',
      description: 'Pods that are ready, of those there should be.',
      cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
    },
    {
      name: 'Up-to-date',
      type: 'string',
      description: 'Pods of the current template.',
      cell: ({ status }) => status?.updatedReplicas ?? 0,
    },
    {
      name: 'Available',
      type: 'string',
      description: 'Pods that have been ready for long enough.',
      cell: ({ status }) => status?.availableReplicas ?? 0,
    },
    ageColumn,
    ...templateColumns<Deployment>(),
  ],
});
