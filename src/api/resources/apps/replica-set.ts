/** ReplicaSets. */
import type { ReplicaSet } from '#types';
import type { FieldError } from '../../machinery/field.js';
import { validateImmutable, validateNonnegative } from '../../machinery/validation.js';
import { ageColumn, nameColumn, templateColumns } from '../columns.js';
import { defaultPodTemplate } from '../core/podspec/defaults.js';
import { defineResource, REPLICAS, SCALE } from '../define.js';
import { dropUnset } from '../unset.js';
import {
  nameWarnings,
  templateWarnings,
  validateCounts,
  validateSelector,
  validateTemplate,
} from './workload.js';

function validate({ spec }: ReplicaSet): FieldError[] {
  return [
    ...validateNonnegative(spec.replicas, 'spec.replicas'),
    ...validateNonnegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...validateSelector(spec.selector, 'spec.selector'),
    ...validateTemplate(spec.template, spec.selector, 'ReplicaSet'),
  ];
}

const PARTS = ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'] as const;

export const replicaSets = defineResource<ReplicaSet>({
  group: 'apps',
  version: 'v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  shortNames: ['rs'],
  categories: ['all'],
  namespaced: true,
  generation: true,
  scale: REPLICAS,
  subresources: [SCALE, { name: 'status', kind: 'ReplicaSet', verbs: ['get', 'patch', 'update'] }],
  defaults(set) {
    set.spec ??= {} as ReplicaSet['spec'];
    dropUnset(set.spec, ['minReadySeconds']);
    if (set.status) dropUnset(set.status, [...PARTS, 'observedGeneration']);
    set.spec.replicas ??= 1;
    if (set.spec.template) defaultPodTemplate(set.spec.template);
  },
  prepareForCreate(set) {
    set.status = { replicas: 0 };
  },
  prepareForStatusUpdate(set, old) {
    set.spec = old.spec;
  },
  validate,
  validateUpdate: (set, old) => validateImmutable(set.spec.selector, old.spec.selector, 'spec.selector'),
  validateStatusUpdate: (set) =>
    validateCounts(
      { ...set.status },
      ['replicas', ...PARTS, 'terminatingReplicas', 'observedGeneration'],
      PARTS,
    ),
  warnings: (object, old) => [...nameWarnings(object, old), ...templateWarnings(object, old)],
  columns: [
    nameColumn,
    {
      name: 'Desired',
      type: 'integer',
      description: 'Pods that there should be.',
      cell: (set) => set.spec.replicas ?? 0,
    },
    {
      name: 'Current',
      type: 'integer',
      description: 'Pods that there are.',
      cell: (set) => set.status?.replicas ?? 0,
    },
    {
      name: 'Ready',
      type: 'integer',
      description: 'Pods that are ready.',
      cell: (set) => set.status?.readyReplicas ?? 0,
    },
    ageColumn,
    ...templateColumns<ReplicaSet>(),
  ],
  fields: { 'status.replicas': (set) => `${set.status?.replicas ?? 0}` },
});
