/** PersistentVolumeClaims. */
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  invalid,
  key,
  notSupported,
  required,
} from '../../machinery/field.js';
import { compareQuantities, quantityValue } from '../../machinery/quantity.js';
import { sameJson, validateImmutable, validateQualifiedName } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { joinDataSources, validateClaimSpec } from './persistent-volume-claim-spec.js';
import { claimWarnings } from './podspec/warnings.js';
import {
  CLASS_ANNOTATION,
  classAnnotationWarning,
  formatAccessModes,
  storageClassOf,
} from './volume-fields.js';

function defaults(claim: PersistentVolumeClaim): void {
  claim.spec ??= {};
  const { spec } = claim;
  spec.resources ??= {};
  spec.volumeMode ??= 'Filesystem';
  if (claim.status) claim.status.phase ??= 'Pending';
}

const IMMUTABLE =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

/** Whether a claim without a class gets one: that of its annotation, or any when it has none. */
function setsClass(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): boolean {
  const before = old.metadata.annotations?.[CLASS_ANNOTATION];
  const name = claim.spec.storageClassName;
  return old.spec.storageClassName === undefined && (before === undefined || name === before);
}

function validateUpdate(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const errors: FieldError[] = [];
  const bound = claim.status?.phase === 'Bound';
  /** What must stay as it was. */
  const fixed = (spec: PersistentVolumeClaimSpec): object => {
    const copy: PersistentVolumeClaimSpec = { ...spec };
    if (bound && claim.spec.resources?.requests)
      copy.resources = { ...spec.resources, requests: { ...spec.resources?.requests, storage: '0' } };
    if (bound && claim.spec.volumeAttributesClassName !== undefined) delete copy.volumeAttributesClassName;
    if (!old.spec.volumeName) delete copy.volumeName;
    if (setsClass(claim, old)) delete copy.storageClassName;
    return copy;
  };
  const annotation = claim.metadata.annotations?.[CLASS_ANNOTATION] ?? '';
  if (annotation !== (old.metadata.annotations?.[CLASS_ANNOTATION] ?? ''))
    errors.push(invalid(child('metadata.annotations', CLASS_ANNOTATION), annotation, 'field is immutable'));
  if (!sameJson(fixed(claim.spec), fixed(old.spec))) errors.push(forbidden('spec', IMMUTABLE));
  const size = claim.spec.resources?.requests?.['storage'];
  const before = old.spec.resources?.requests?.['storage'];
  const actual = old.status?.capacity?.['storage'];
  if (compareQuantities(size, before) < 0 && compareQuantities(size, actual) <= 0)
    errors.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  errors.push(...validateImmutable(claim.spec.volumeMode, old.spec.volumeMode, 'volumeMode'));
  const attributes = claim.spec.volumeAttributesClassName;
  if (old.spec.volumeAttributesClassName !== undefined && !attributes) {
    const to = attributes === undefined ? 'nil' : 'an empty string';
    if (attributes !== old.spec.volumeAttributesClassName)
      errors.push(
        forbidden('spec.volumeAttributesClassName', `update from non-nil value to ${to} is forbidden`),
      );
  }
  return errors;
}

const RESIZE_STATES = [
  'ControllerResizeInProgress',
  'ControllerResizeInfeasible',
  'NodeResizeInProgress',
  'NodeResizeInfeasible',
  'NodeResizePending',
];

/** `storage`, or the name of a resource that an extension defines. */
function validateResourceKey(name: string, path: string): FieldError[] {
  const errors = validateQualifiedName(name, path);
  const native = !name.includes('/') || name.includes('kubernetes.io/');
  return errors.length === 0 && native && name !== 'storage'
    ? [notSupported(path, name, ['storage'])]
    : errors;
}

const validateQuantity = (quantity: string, path: string): FieldError[] =>
  compareQuantities(quantity, 0) < 0
    ? [invalid(path, quantityValue(quantity), 'must be a valid resource quantity')]
    : [];

function validateStatusUpdate({ spec, status = {} }: PersistentVolumeClaim): FieldError[] {
  const errors = spec.accessModes?.length ? [] : [required('Spec.accessModes')];
  for (const [name, size] of Object.entries(status.capacity ?? {}))
    errors.push(...validateQuantity(size, key('status.capacity', name)));
  const states = 'status.allocatedResourceStatus';
  for (const [name, state] of Object.entries(status.allocatedResourceStatuses ?? {})) {
    errors.push(...validateResourceKey(name, states));
    if (!RESIZE_STATES.includes(state)) errors.push(notSupported(states, name, RESIZE_STATES));
  }
  for (const [name, size] of Object.entries(status.allocatedResources ?? {})) {
    const wrong = validateResourceKey(name, 'status.allocatedResources');
    errors.push(
      ...(wrong.length > 0 ? wrong : validateQuantity(size, key('status.allocatedResources', name))),
    );
  }
  return errors;
}

const warnings = ({ metadata, spec }: PersistentVolumeClaim): string[] => [
  ...classAnnotationWarning(metadata),
  ...claimWarnings(spec, 'spec'),
];

const phase = ({ metadata, status }: PersistentVolumeClaim): string =>
  metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? '');

export const persistentVolumeClaims = defineResource<PersistentVolumeClaim>({
  group: '',
  version: 'v1',
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  shortNames: ['pvc'],
  namespaced: true,
  subresources: [{ name: 'status', kind: 'PersistentVolumeClaim', verbs: ['get', 'patch', 'update'] }],
  defaults,
  prepareForCreate(claim) {
    claim.status = { phase: 'Pending' };
    joinDataSources(claim.spec);
  },
  prepareForUpdate(claim, old) {
    joinDataSources(claim.spec, old.spec);
  },
  prepareForStatusUpdate(claim, old) {
    claim.spec = old.spec;
  },
  validate: ({ spec }) => validateClaimSpec(spec, 'spec'),
  validateUpdate,
  validateStatusUpdate,
  warnings,
  columns: [
    nameColumn,
    textColumn('Status', 'Whether it is bound.', phase),
    textColumn('Volume', 'The volume that it has.', ({ spec }) => spec.volumeName ?? ''),
    textColumn('Capacity', 'Size of the volume.', ({ spec, status }) =>
      spec.volumeName ? (status?.capacity?.['storage'] ?? '0') : '',
    ),
    textColumn('Access Modes', 'How it can be mounted.', ({ spec, status }) =>
      spec.volumeName ? formatAccessModes(status?.accessModes) : '',
    ),
    textColumn('StorageClass', 'Class of the volume.', storageClassOf),
    textColumn(
      'VolumeAttributesClass',
      'Class of its attributes.',
      ({ spec }) => spec.volumeAttributesClassName ?? '<unset>',
    ),
    ageColumn,
    textColumn(
      'VolumeMode',
      'File system or block device.',
      ({ spec }) => spec.volumeMode ?? '<unset>',
      true,
    ),
  ],
});
