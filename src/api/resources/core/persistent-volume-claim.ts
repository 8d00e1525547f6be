/** PersistentVolumeClaims. */
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from '#types';
import { type FieldError, forbidden, invalid, required } from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { compareQuantities } from '../../machinery/quantity.js';
import { checked, sameJson, validateImmutable, validateLabelSelector } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import {
  formatAccessModes,
  storageClassOf,
  validateAccessModes,
  validateVolumeMode,
} from './volume-fields.js';

const STORAGE = 'spec.resources[storage]';

function defaults(claim: PersistentVolumeClaim): void {
  claim.spec ??= {};
  const { spec } = claim;
  spec.resources ??= {};
  spec.volumeMode ??= 'Filesystem';
  if (claim.status) claim.status.phase ??= 'Pending';
}

/** The two ways to name a source of the data say the same, where both can. */
function joinDataSources(spec: PersistentVolumeClaimSpec): void {
  if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource };
  const ref = spec.dataSourceRef;
  if (!ref || spec.dataSource || ref.namespace) return;
  const { apiGroup, kind, name } = ref;
  const known =
    ((apiGroup ?? '') === '' && kind === 'PersistentVolumeClaim') ||
    (apiGroup === 'snapshot.storage.k8s.io' && kind === 'VolumeSnapshot');
  if (known) spec.dataSource = { ...(apiGroup === undefined ? {} : { apiGroup }), kind, name };
}

export function validateClaimSpec(spec: PersistentVolumeClaimSpec): FieldError[] {
  const errors: FieldError[] = [];
  const modes = spec.accessModes ?? [];
  if (modes.length === 0) errors.push(required('spec.accessModes', 'at least 1 access mode is required'));
  errors.push(
    ...validateLabelSelector(spec.selector, 'spec.selector'),
    ...validateAccessModes(modes, 'spec'),
  );
  const storage = spec.resources?.requests?.['storage'];
  if (storage === undefined) errors.push(required(STORAGE));
  else if (compareQuantities(storage, 0) <= 0)
    errors.push(invalid(STORAGE, storage, 'must be greater than zero'));
  if (spec.storageClassName)
    errors.push(...checked('spec.storageClassName', spec.storageClassName, dns1123Subdomain));
  errors.push(...validateVolumeMode(spec.volumeMode, 'spec'));
  if (spec.dataSource && spec.dataSourceRef && spec.dataSource.name !== spec.dataSourceRef.name)
    errors.push(invalid('spec', spec.dataSource.name, 'must match dataSourceRef'));
  return errors;
}

const IMMUTABLE =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';

function validateUpdate(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const errors: FieldError[] = [];
  const bound = old.status?.phase === 'Bound';
  /** What must stay as it was. */
  const fixed = (spec: PersistentVolumeClaimSpec): object => {
    const copy: PersistentVolumeClaimSpec = { ...spec };
    if (bound) {
      copy.resources = { ...spec.resources, requests: { ...spec.resources?.requests } };
      delete copy.resources.requests!['storage'];
    }
    delete copy.volumeAttributesClassName;
    if (!old.spec.volumeName) delete copy.volumeName;
    // A claim without a class may get the default one later.
    if (old.spec.storageClassName === undefined && !old.spec.volumeName) delete copy.storageClassName;
    return copy;
  };
  if (!sameJson(fixed(claim.spec), fixed(old.spec))) errors.push(forbidden('spec', IMMUTABLE));
  const size = claim.spec.resources?.requests?.['storage'];
  const before = old.spec.resources?.requests?.['storage'];
  const actual = old.status?.capacity?.['storage'];
  if (bound && compareQuantities(size, before) < 0 && compareQuantities(size, actual) <= 0)
    errors.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  return [...errors, ...validateImmutable(claim.spec.volumeMode, old.spec.volumeMode, 'volumeMode')];
}

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
  prepareForUpdate(claim) {
    joinDataSources(claim.spec);
  },
  prepareForStatusUpdate(claim, old) {
    claim.spec = old.spec;
  },
  validate: ({ spec }) => validateClaimSpec(spec),
  validateUpdate,
  columns: [
    nameColumn,
    textColumn('Status', 'Whether it is bound.', phase),
    textColumn('Volume', 'The volume that it has.', ({ spec }) => spec.volumeName ?? ''),
    textColumn('Capacity', 'Size of the volume.', ({ spec, status }) =>
      spec.volumeName ? (status?.capacity?.['storage'] ?? '') : '',
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
