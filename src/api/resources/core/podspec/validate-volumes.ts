/** Validation of a pod's volumes. */
import type { KeyToPath, ObjectMeta, PersistentVolumeClaimTemplate, Volume, VolumeSource } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { quantityMilli } from '../../../machinery/quantity.js';
import {
  checked,
  validateAnnotations,
  validateDns1123Label,
  validateLabels,
} from '../../../machinery/validation.js';
import { validateClaimSpec } from '../persistent-volume-claim-spec.js';
import { validateDescending, validateFileMode, validateKeyToPath } from './paths.js';
import { validateDownwardFile, validateProjected } from './validate-projected.js';
import * as sources from './volume-sources.js';

const { requireFields, validateSecretRef } = sources;

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];

type Rules = {
  [K in keyof VolumeSource]-?: (source: NonNullable<VolumeSource[K]>, path: string) => FieldError[];
};

const validateItems = (items: KeyToPath[] | undefined, path: string): FieldError[] =>
  (items ?? []).flatMap((item, i) => validateKeyToPath(item, index(child(path, 'items'), i)));

/** Where upstream's path of a source's errors is not the name of its field. */
const PATHS: Partial<Record<keyof VolumeSource, string>> = { gcePersistentDisk: 'persistentDisk' };

/** In the order in which upstream looks at them; the second source of a volume is forbidden. */
const rules: Rules = {
  emptyDir: (s, path) =>
    s.sizeLimit !== undefined && quantityMilli(s.sizeLimit) < 0
      ? [forbidden(child(path, 'sizeLimit'), 'SizeLimit field must be a valid resource quantity')]
      : [],
  hostPath: sources.validateHostPath,
  gitRepo: (s, path) => [
    ...requireFields(s, path, 'repository'),
    ...validateDescending(s.directory ?? '', child(path, 'directory')),
  ],
  gcePersistentDisk: sources.validateGcePersistentDisk,
  awsElasticBlockStore: sources.validateElasticBlockStore,
  secret: (s, path) => [
    ...requireFields(s, path, 'secretName'),
    ...validateFileMode(s.defaultMode, child(path, 'defaultMode')),
    ...validateItems(s.items, path),
  ],
  nfs: sources.validateNfs,
  iscsi: sources.validateIscsi,
  glusterfs: (s, path) => requireFields(s, path, 'endpoints', 'path'),
  flocker: sources.validateFlocker,
  persistentVolumeClaim: (s, path) => requireFields(s, path, 'claimName'),
  rbd: sources.validateRbd,
  cinder: (s, path) => [
    ...requireFields(s, path, 'volumeID'),
    ...validateSecretRef(s.secretRef, path, 'name'),
  ],
  cephfs: sources.validateMonitors,
  quobyte: sources.validateQuobyte,
  downwardAPI: (s, path) => [
    ...validateFileMode(s.defaultMode, child(path, 'defaultMode')),
    ...(s.items ?? []).flatMap((item) => validateDownwardFile(item, path)),
  ],
  fc: sources.validateFibreChannel,
  flexVolume: sources.validateFlexVolume,
  configMap: (s, path) => [
    ...requireFields(s, path, 'name'),
    ...validateFileMode(s.defaultMode, child(path, 'defaultMode')),
    ...validateItems(s.items, path),
  ],
  azureFile: (s, path) => requireFields(s, path, 'secretName', 'shareName'),
  vsphereVolume: (s, path) => requireFields(s, path, 'volumePath'),
  photonPersistentDisk: (s, path) => requireFields(s, path, 'pdID'),
  portworxVolume: (s, path) => requireFields(s, path, 'volumeID'),
  azureDisk: sources.validateAzureDisk,
  storageos: (s, path) => [
    ...sources.validateStorageOs(s, path),
    ...validateSecretRef(s.secretRef, path, 'name'),
  ],
  projected: validateProjected,
  scaleIO: (s, path) => requireFields(s, path, 'gateway', 'system', 'volumeName'),
  csi: (s, path) => {
    const errors = sources.validateCsiDriverName(s.driver ?? '', child(path, 'driver'));
    const secret = s.nodePublishSecretRef;
    if (secret && !secret.name) errors.push(required(child(path, 'nodePublishSecretRef', 'name')));
    else if (secret) errors.push(...checked(child(path, 'name'), secret.name!, names.dns1123Subdomain));
    return errors;
  },
  ephemeral: (s, path) => {
    const at = child(path, 'volumeClaimTemplate');
    return s.volumeClaimTemplate ? validateClaimTemplate(s.volumeClaimTemplate, at) : [required(at)];
  },
  image: (s, path) => [
    ...requireFields(s, path, 'reference'),
    ...(PULL_POLICIES.includes(s.pullPolicy ?? '')
      ? []
      : [notSupported(child(path, 'pullPolicy'), s.pullPolicy ?? '', PULL_POLICIES)]),
  ],
};

/** Of its metadata the claim takes labels and annotations alone. */
function validateClaimTemplate(template: PersistentVolumeClaimTemplate, path: string): FieldError[] {
  const meta = child(path, 'metadata');
  const { annotations, labels, ...others } = template.metadata ?? ({} as ObjectMeta);
  return [
    ...validateAnnotations(annotations, child(meta, 'annotations')),
    ...validateLabels(labels, child(meta, 'labels')),
    ...Object.entries(others)
      .filter(([, value]) => value)
      .map(([field]) => forbidden(child(meta, field), 'cannot be set')),
    ...validateClaimSpec(template.spec ?? {}, child(path, 'spec')),
  ];
}

function validateSource(volume: Volume, path: string, meta: ObjectMeta | undefined): FieldError[] {
  const given = (Object.keys(rules) as (keyof VolumeSource)[]).filter((kind) => volume[kind]);
  if (given.length === 0) return [required(path, 'must specify a volume type')];
  const errors = given.flatMap((kind, i) =>
    i > 0
      ? [forbidden(child(path, kind), 'may not specify more than 1 volume type')]
      : (rules[kind] as (source: unknown, path: string) => FieldError[])(
          volume[kind],
          child(path, PATHS[kind] ?? kind),
        ),
  );
  if (volume.iscsi)
    errors.push(...sources.portalTooLong(volume.iscsi, volume.name, child(path, 'name'), volume.name));
  if (volume.ephemeral && meta?.name && volume.name) {
    const claim = `${meta.name}-${volume.name}`;
    for (const message of names.dns1123Subdomain(claim))
      errors.push(invalid(child(path, 'name'), volume.name, `PVC name "${claim}": ${message}`));
  }
  return errors;
}

/** The valid volumes by name, and all errors. `meta` is the pod's, absent for templates. */
export function validateVolumes(
  volumes: Volume[] | undefined,
  meta: ObjectMeta | undefined,
  path: string,
): { volumes: Map<string, Volume>; errors: FieldError[] } {
  const valid = new Map<string, Volume>();
  const errors: FieldError[] = [];
  const created = new Set(
    meta?.name ? (volumes ?? []).filter((v) => v.ephemeral).map((v) => `${meta.name}-${v.name}`) : [],
  );
  volumes?.forEach((volume, i) => {
    const at = index(path, i);
    const own = validateSource(volume, at, meta);
    if (!volume.name) own.push(required(child(at, 'name')));
    else own.push(...validateDns1123Label(volume.name, child(at, 'name')));
    if (valid.has(volume.name)) own.push(duplicate(child(at, 'name'), volume.name));
    if (own.length === 0) valid.set(volume.name, volume);
    errors.push(...own);
    const claim = volume.persistentVolumeClaim?.claimName;
    if (claim && created.has(claim))
      errors.push(
        invalid(
          child(at, 'persistentVolumeClaim', 'claimName'),
          claim,
          'must not reference a PVC that gets created for an ephemeral volume',
        ),
      );
  });
  return { volumes: valid, errors };
}
