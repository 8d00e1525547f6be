/** ReplicationControllers: what ReplicaSets were before they had label selectors. */
import type { ReplicationController } from '#types';
import { type FieldError, required } from '../../machinery/field.js';
import { validateNonnegative } from '../../machinery/validation.js';
import { nameWarnings, templateWarnings, validateCounts, validateTemplate } from '../apps/workload.js';
import { ageColumn, formatLabels, nameColumn, templateColumns } from '../columns.js';
import { defineResource, REPLICAS, SCALE } from '../define.js';
import { dropUnset } from '../unset.js';
import { defaultPodTemplate } from './podspec/defaults.js';

const PARTS = ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'] as const;

/** What it leaves out follows from the labels of its template. */
function defaults(controller: ReplicationController): void {
  controller.spec ??= {};
  const { spec, metadata } = controller;
  dropUnset(spec, ['minReadySeconds']);
  if (controller.status) {
    dropUnset(controller.status, [...PARTS, 'observedGeneration']);
    controller.status.replicas ??= 0;
  }
  const labels = spec.template?.metadata?.labels;
  if (labels && Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels };
  if (labels && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
  spec.replicas ??= 1;
  if (spec.template) defaultPodTemplate(spec.template);
}

function validate({ spec }: ReplicationController): FieldError[] {
  const { selector = {}, template } = spec;
  const errors = [
    ...validateNonnegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...(Object.keys(selector).length === 0 ? [required('spec.selector')] : []),
    ...validateNonnegative(spec.replicas, 'spec.replicas'),
  ];
  const parsed = Object.keys(selector).length === 0 ? {} : { matchLabels: selector };
  return [...errors, ...validateTemplate(template, parsed, 'ReplicationController')];
}

function validateStatus(controller: ReplicationController): FieldError[] {
  const counts = ['replicas', ...PARTS, 'observedGeneration'];
  return validateCounts({ ...controller.status }, counts, PARTS);
}

const count = (name: string, description: string, cell: (rc: ReplicationController) => number) => ({
  name,
  type: 'integer' as const,
  description,
  cell,
});

export const replicationControllers = defineResource<ReplicationController>({
  group: '',
  version: 'v1',
  kind: 'ReplicationController',
  plural: 'replicationcontrollers',
  shortNames: ['rc'],
  categories: ['all'],
  namespaced: true,
  orphansByDefault: '',
  generation: true,
  scale: REPLICAS,
  subresources: [SCALE, { name: 'status', kind: 'ReplicationController', verbs: ['get', 'patch', 'update'] }],
  defaults,
  prepareForCreate(controller) {
    controller.status = { replicas: 0 };
  },
  prepareForStatusUpdate(controller, old) {
    controller.spec = old.spec;
  },
  validate,
  validateStatusUpdate: validateStatus,
  warnings: (object, old) => [...nameWarnings(object, old), ...templateWarnings(object, old)],
  columns: [
    nameColumn,
    count('Desired', 'Pods that there should be.', ({ spec }) => spec.replicas ?? 0),
    count('Current', 'Pods that there are.', ({ status }) => status?.replicas ?? 0),
    count('Ready', 'Pods that are ready.', ({ status }) => status?.readyReplicas ?? 0),
    ageColumn,
    ...templateColumns<ReplicationController>().slice(0, 2),
    {
      name: 'Selector',
      type: 'string',
      priority: 1,
      description: 'Labels of the pods that the object owns.',
      cell: ({ spec }) => formatLabels(spec.selector),
    },
  ],
  fields: { 'status.replicas': ({ status }) => `${status?.replicas ?? 0}` },
});
