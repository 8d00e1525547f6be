/** PersistentVolumes. */
import type { PersistentVolume, PersistentVolumeSpec } from '#types';
import { timestamp } from '../../machinery/clock.js';
import { child, type FieldError, forbidden, index, invalid, key } from '../../machinery/field.js';
import { sameJson, validateImmutable } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { sourcesOf, validateVolumeSpec } from './persistent-volume-spec.js';
import { defaultVolumeSource } from './podspec/defaults.js';
import { volumeWarnings } from './podspec/volume-warnings.js';
import { termWarnings } from './podspec/warnings.js';
import { classAnnotationWarning, formatAccessModes, storageClassOf } from './volume-fields.js';

/** The secret for growing the volume may be added to one that has none. */
function withoutAddedSecret(spec: PersistentVolumeSpec, old: PersistentVolumeSpec): PersistentVolumeSpec {
  if (!spec.csi?.controllerExpandSecretRef || !old.csi || old.csi.controllerExpandSecretRef) return spec;
  const { controllerExpandSecretRef: _, ...csi } = spec.csi;
  return { ...spec, csi };
}

const NEW_LABELS: Record<string, string> = {
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
  'beta.kubernetes.io/os': 'kubernetes.io/os',
  'beta.kubernetes.io/arch': 'kubernetes.io/arch',
  'beta.kubernetes.io/instance-type': 'node.kubernetes.io/instance-type',
};

/** The old affinity with the new names of labels where `now` has them. */
function withNewLabels({ nodeAffinity }: PersistentVolumeSpec, now: PersistentVolumeSpec) {
  const copy = structuredClone(nodeAffinity);
  copy?.required?.nodeSelectorTerms?.forEach((term, i) => {
    term.matchExpressions?.forEach((expression, j) => {
      const key = now.nodeAffinity?.required?.nodeSelectorTerms?.[i]?.matchExpressions?.[j]?.key;
      if (key !== undefined && NEW_LABELS[expression.key] === key) expression.key = key;
    });
  });
  return copy;
}

function validateUpdate({ spec }: PersistentVolume, old: PersistentVolume): FieldError[] {
  const errors: FieldError[] = [];
  if (!sameJson(sourcesOf(withoutAddedSecret(spec, old.spec)), sourcesOf(old.spec)))
    errors.push(
      forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'),
    );
  errors.push(...validateImmutable(spec.volumeMode, old.spec.volumeMode, 'volumeMode'));
  if (old.spec.nodeAffinity && !sameJson(spec.nodeAffinity, withNewLabels(old.spec, spec)))
    errors.push(
      invalid(
        'nodeAffinity',
        spec.nodeAffinity,
        'field is immutable, except for updating from beta label to GA',
      ),
    );
  if (old.spec.volumeAttributesClassName !== undefined && spec.volumeAttributesClassName === undefined)
    errors.push(forbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden'));
  return errors;
}

const MOUNT_OPTIONS = 'volume.beta.kubernetes.io/mount-options';

function warnings({ metadata, spec }: PersistentVolume): string[] {
  const list = classAnnotationWarning(metadata);
  if (metadata.annotations?.[MOUNT_OPTIONS] !== undefined)
    list.push(
      `${key('metadata.annotations', MOUNT_OPTIONS)}: deprecated since v1.31; use "mountOptions" attribute instead`,
    );
  if (spec.persistentVolumeReclaimPolicy === 'Recycle')
    list.push(
      'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
    );
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  return [
    ...list,
    ...terms.flatMap((term, i) =>
      termWarnings(
        term.matchExpressions,
        child(index('spec.nodeAffinity.required.nodeSelectorTerms', i), 'matchExpressions'),
      ),
    ),
    ...volumeWarnings(spec, 'spec'),
  ];
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
    defaultVolumeSource(volume.spec);
    if (volume.status) volume.status.phase ??= 'Pending';
  },
  prepareForCreate(volume) {
    volume.status = { phase: 'Pending', lastPhaseTransitionTime: timestamp(Date.now()) };
  },
  prepareForStatusUpdate(volume, old) {
    volume.spec = old.spec;
    const { status } = volume;
    const before = old.status?.lastPhaseTransitionTime;
    if (!status) return;
    const moved = status.phase !== old.status?.phase;
    const time = status.lastPhaseTransitionTime;
    if (moved && (!time || time === before)) status.lastPhaseTransitionTime = timestamp(Date.now());
    else if (!moved && !time && before) status.lastPhaseTransitionTime = before;
  },
  validate: ({ metadata, spec }) => validateVolumeSpec(spec, metadata.name ?? '', 'spec'),
  validateUpdate,
  warnings,
  columns: [
    nameColumn,
    textColumn('Capacity', 'Size of the volume.', ({ spec }) => spec.capacity?.['storage'] ?? '0'),
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
