/** PersistentVolumes. */
import type { PersistentVolume, PersistentVolumeSpec } from '#types';
import { timestamp } from '../../machinery/clock.js';
import {
  child,
  type FieldError,
  forbidden,
  invalid,
  key,
  notSupported,
  required,
} from '../../machinery/field.js';
import { dns1123Subdomain } from '../../machinery/names.js';
import { compareQuantities } from '../../machinery/quantity.js';
import { checked, sameJson, validateImmutable } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { validateNoBacksteps } from './podspec/paths.js';
import { validateNodeSelector } from './podspec/validate-affinity.js';
import {
  formatAccessModes,
  storageClassOf,
  validateAccessModes,
  validateVolumeMode,
} from './volume-fields.js';

const POLICIES = ['Delete', 'Recycle', 'Retain'];
const NOT_SOURCES = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

const source = (spec: PersistentVolumeSpec): Record<string, any> =>
  Object.fromEntries(Object.entries(spec).filter(([field, value]) => !NOT_SOURCES.has(field) && value));

function validate({ spec }: PersistentVolume): FieldError[] {
  const errors: FieldError[] = [];
  if (!spec.accessModes?.length) errors.push(required('spec.accessModes'));
  errors.push(...validateAccessModes(spec.accessModes ?? [], 'spec'), ...validateCapacity(spec));
  const policy = spec.persistentVolumeReclaimPolicy ?? '';
  if (policy && !POLICIES.includes(policy))
    errors.push(notSupported('spec.persistentVolumeReclaimPolicy', policy, POLICIES));
  if (spec.nodeAffinity) {
    const at = 'spec.nodeAffinity.required';
    if (!spec.nodeAffinity.required) errors.push(required(at, 'must specify required node constraints'));
    else errors.push(...validateNodeSelector(spec.nodeAffinity.required, at, true));
  }
  errors.push(...validateSource(spec));
  if (spec.hostPath?.path === '/' && policy === 'Recycle')
    errors.push(
      forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'"),
    );
  if (spec.storageClassName)
    errors.push(...checked('spec.storageClassName', spec.storageClassName, dns1123Subdomain));
  return [...errors, ...validateVolumeMode(spec.volumeMode, 'spec')];
}

function validateCapacity({ capacity = {} }: PersistentVolumeSpec): FieldError[] {
  const names = Object.keys(capacity);
  const errors: FieldError[] = [];
  if (names.length === 0) errors.push(required('spec.capacity'));
  else if (names.length > 1 || capacity['storage'] === undefined)
    errors.push(notSupported('spec.capacity', capacity, ['storage']));
  for (const name of names)
    if (compareQuantities(capacity[name], 0) <= 0)
      errors.push(invalid(key('spec.capacity', name), capacity[name], 'must be greater than zero'));
  return errors;
}

/** Exactly one source, with what it needs. */
function validateSource(spec: PersistentVolumeSpec): FieldError[] {
  const sources = Object.keys(source(spec));
  if (sources.length === 0) return [required('spec', 'must specify a volume type')];
  const errors = sources
    .slice(1)
    .map((name) => forbidden(child('spec', name), 'may not specify more than 1 volume type'));
  const need = (value: string | undefined, path: string) => {
    if (!value) errors.push(required(path));
  };
  const { hostPath, local, nfs, csi, iscsi } = spec;
  if (hostPath) {
    need(hostPath.path, 'spec.hostPath.path');
    errors.push(...validateNoBacksteps(hostPath.path ?? '', 'spec.hostPath.path'));
  }
  if (local) {
    need(local.path, 'spec.local.path');
    errors.push(...validateNoBacksteps(local.path ?? '', 'spec.local.path'));
    if (!spec.nodeAffinity) errors.push(required('spec.nodeAffinity', 'Local volume requires node affinity'));
  }
  if (nfs) {
    need(nfs.server, 'spec.nfs.server');
    need(nfs.path, 'spec.nfs.path');
    if (nfs.path && !nfs.path.startsWith('/'))
      errors.push(invalid('spec.nfs.path', nfs.path, 'must be an absolute path'));
  }
  if (csi) {
    need(csi.driver, 'spec.csi.driver');
    need(csi.volumeHandle, 'spec.csi.volumeHandle');
  }
  if (iscsi) {
    need(iscsi.targetPortal, 'spec.iscsi.targetPortal');
    need(iscsi.iqn, 'spec.iscsi.iqn');
  }
  return errors;
}

function validateUpdate({ spec }: PersistentVolume, old: PersistentVolume): FieldError[] {
  const errors: FieldError[] = [];
  if (!sameJson(source(spec), source(old.spec)))
    errors.push(
      forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'),
    );
  errors.push(...validateImmutable(spec.volumeMode, old.spec.volumeMode, 'volumeMode'));
  if (old.spec.nodeAffinity && !sameJson(spec.nodeAffinity, old.spec.nodeAffinity))
    errors.push(invalid('spec.nodeAffinity', spec.nodeAffinity, 'field is immutable'));
  return errors;
}

export const persistentVolumes = defineResource<PersistentVolume>({
  group: '',
  version: 'v1',
  kind: 'PersistentVolume',
  plural: 'persistentvolumes',
  shortNames: ['pv'],
  namespaced: false,
  subresources: [{ name: 'status', kind: 'PersistentVolume', verbs: ['get', 'patch', 'update'] }],
  defaults(volume) {
    volume.spec ??= {};
    volume.spec.persistentVolumeReclaimPolicy ??= 'Retain';
    volume.spec.volumeMode ??= 'Filesystem';
    if (volume.spec.hostPath) volume.spec.hostPath.type ??= '';
    if (volume.status) volume.status.phase ??= 'Pending';
  },
  prepareForCreate(volume) {
    volume.status = { phase: 'Pending', lastPhaseTransitionTime: timestamp(Date.now()) };
  },
  prepareForStatusUpdate(volume, old) {
    volume.spec = old.spec;
    if (volume.status && volume.status.phase !== old.status?.phase)
      volume.status.lastPhaseTransitionTime ??= timestamp(Date.now());
  },
  validate,
  validateUpdate,
  columns: [
    nameColumn,
    textColumn('Capacity', 'Size of the volume.', ({ spec }) => spec.capacity?.['storage'] ?? ''),
    textColumn('Access Modes', 'How it can be mounted.', ({ spec }) => formatAccessModes(spec.accessModes)),
    textColumn(
      'Reclaim Policy',
      'What becomes of it after its claim.',
      ({ spec }) => spec.persistentVolumeReclaimPolicy ?? '',
    ),
    textColumn('Status', 'Whether it is bound.', ({ metadata, status }) =>
      metadata.deletionTimestamp ? 'Terminating' : (status?.phase ?? ''),
    ),
    textColumn('Claim', 'The claim that has it.', ({ spec: { claimRef } }) =>
      claimRef ? `${claimRef.namespace}/${claimRef.name}` : '',
    ),
    textColumn('StorageClass', 'Class of the volume.', storageClassOf),
    textColumn(
      'VolumeAttributesClass',
      'Class of its attributes.',
      ({ spec }) => spec.volumeAttributesClassName ?? '<unset>',
    ),
    textColumn('Reason', 'Why it is in this state.', ({ status }) => status?.reason ?? ''),
    ageColumn,
    textColumn(
      'VolumeMode',
      'File system or block device.',
      ({ spec }) => spec.volumeMode ?? '<unset>',
      true,
    ),
  ],
});
