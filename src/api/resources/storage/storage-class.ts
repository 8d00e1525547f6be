/** StorageClasses: kinds of volumes that claims ask for. */
import type { StorageClass, TopologySelectorTerm } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  notSupported,
  required,
} from '../../machinery/field.js';
import { sameJson, validateImmutable, validateQualifiedName } from '../../machinery/validation.js';
import { LOCAL_PATH_CLASS, LOCAL_PATH_PROVISIONER } from '../../storage/annotations.js';
import { ageColumn, textColumn } from '../columns.js';
import { termWarnings } from '../core/podspec/warnings.js';
import { defineResource } from '../define.js';
import { classNameColumn, DEFAULT_STORAGE_CLASS, validateDriver, validateParameters } from './class-name.js';

const POLICIES = ['Delete', 'Retain'];
const MODES = ['Immediate', 'WaitForFirstConsumer'];

function validate(storageClass: StorageClass): FieldError[] {
  const { provisioner, parameters, reclaimPolicy, volumeBindingMode, allowedTopologies } = storageClass;
  const errors = [...validateDriver(provisioner, 'provisioner'), ...validateParameters(parameters, true)];
  if (reclaimPolicy && !POLICIES.includes(reclaimPolicy))
    errors.push(notSupported('reclaimPolicy', reclaimPolicy, POLICIES));
  if (!volumeBindingMode) errors.push(required('volumeBindingMode'));
  else if (!MODES.includes(volumeBindingMode))
    errors.push(notSupported('volumeBindingMode', volumeBindingMode, MODES));
  (allowedTopologies ?? []).forEach((term, i) => {
    errors.push(...validateTopology(term, index('allowedTopologies', i)));
    const same = (other: TopologySelectorTerm) => sameJson(topologyOf(other), topologyOf(term));
    if (allowedTopologies!.slice(0, i).some(same))
      errors.push(duplicate(child(index('allowedTopologies', i), 'matchLabelExpressions'), ''));
  });
  return errors;
}

/** What a term says, whatever the order. */
const topologyOf = (term: TopologySelectorTerm) =>
  Object.fromEntries(
    (term.matchLabelExpressions ?? []).map(({ key, values = [] }) => [key, [...values].sort()]),
  );

function validateTopology(term: TopologySelectorTerm, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const keys = new Set<string>();
  (term.matchLabelExpressions ?? []).forEach(({ key, values }, i) => {
    const at = index(child(path, 'matchLabelExpressions'), i);
    if (!values?.length) errors.push(required(child(at, 'values')));
    (values ?? []).forEach((value, j) => {
      if (values.indexOf(value) < j) errors.push(duplicate(index(child(at, 'values'), j), value));
    });
    errors.push(...validateQualifiedName(key ?? '', child(at, 'key')));
    if (keys.has(key)) errors.push(duplicate(child(at, 'key'), key));
    keys.add(key);
  });
  return errors;
}

const FIXED = ['parameters', 'provisioner', 'reclaimPolicy'] as const;

export const storageClasses = defineResource<StorageClass>({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
  shortNames: ['sc'],
  namespaced: false,
  defaults(storageClass) {
    storageClass.provisioner ??= '';
    storageClass.reclaimPolicy ??= 'Delete';
    storageClass.volumeBindingMode ??= 'Immediate';
  },
  validate,
  warnings: ({ allowedTopologies }) =>
    (allowedTopologies ?? []).flatMap(({ matchLabelExpressions }, i) =>
      termWarnings(matchLabelExpressions, child(index('allowedTopologies', i), 'matchLabelExpressions')),
    ),
  validateUpdate: (storageClass, old) => [
    ...FIXED.filter((field) => !sameJson(storageClass[field], old[field])).map((field) =>
      forbidden(field, `updates to ${field} are forbidden.`),
    ),
    ...validateImmutable(storageClass.volumeBindingMode, old.volumeBindingMode, 'volumeBindingMode'),
  ],
  columns: [
    classNameColumn,
    textColumn('Provisioner', 'What makes the volumes.', (c) => c.provisioner),
    textColumn('ReclaimPolicy', 'What becomes of a volume after its claim.', (c) => c.reclaimPolicy ?? ''),
    textColumn('VolumeBindingMode', 'When volumes are made.', (c) => c.volumeBindingMode ?? ''),
    textColumn('AllowVolumeExpansion', 'Whether volumes may grow.', (c) => c.allowVolumeExpansion ?? false),
    ageColumn,
  ],
});

/** The class that every cluster has from its first start, and the default one. */
export const localPathClass: StorageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: LOCAL_PATH_CLASS, annotations: { [DEFAULT_STORAGE_CLASS]: 'true' } },
  provisioner: LOCAL_PATH_PROVISIONER,
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
};
