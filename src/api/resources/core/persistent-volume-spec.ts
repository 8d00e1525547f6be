/** Validation of the spec of a PersistentVolume, also of one that stands in a VolumeAttachment (inline). */
import type { CSIPersistentVolumeSource, PersistentVolumeSpec, SecretReference } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  invalid,
  key,
  notSupported,
  required,
} from '../../machinery/field.js';
import { dns1123Label, dns1123Subdomain } from '../../machinery/names.js';
import { canonicalQuantity, compareQuantities } from '../../machinery/quantity.js';
import { checked } from '../../machinery/validation.js';
import { validateNoBacksteps } from './podspec/paths.js';
import { validateNodeSelector } from './podspec/validate-affinity.js';
import * as sources from './podspec/volume-sources.js';
import { validateAccessModes, validateVolumeMode } from './volume-fields.js';

const { requireFields, validateSecretRef } = sources;

const POLICIES = ['Delete', 'Recycle', 'Retain'];
const INLINE = 'in the context of inline volumes';

type Source<K extends keyof PersistentVolumeSpec> = NonNullable<PersistentVolumeSpec[K]>;
type Rule<K extends keyof PersistentVolumeSpec> = (source: Source<K>, path: string) => FieldError[];

/** In the order in which upstream looks at them; the second source of a volume is forbidden. */
const rules = {
  hostPath: sources.validateHostPath,
  gcePersistentDisk: sources.validateGcePersistentDisk,
  awsElasticBlockStore: sources.validateElasticBlockStore,
  glusterfs: (s, path) => {
    const errors = requireFields(s, path, 'endpoints', 'path');
    const at = child(path, 'endpointsNamespace');
    if (s.endpointsNamespace === '')
      errors.push(invalid(at, '', 'if the endpointnamespace is set, it must be a valid namespace name'));
    else if (s.endpointsNamespace) errors.push(...checked(at, s.endpointsNamespace, dns1123Label));
    return errors;
  },
  flocker: sources.validateFlocker,
  nfs: sources.validateNfs,
  rbd: sources.validateRbd,
  quobyte: sources.validateQuobyte,
  cephfs: sources.validateMonitors,
  iscsi: (s, path) => [...sources.validateIscsi(s, path), ...validateSecretRef(s.secretRef, path, 'name')],
  cinder: (s, path) => [
    ...requireFields(s, path, 'volumeID'),
    ...validateSecretRef(s.secretRef, path, 'name', 'namespace'),
  ],
  fc: sources.validateFibreChannel,
  flexVolume: sources.validateFlexVolume,
  azureFile: (s, path) => [
    ...requireFields(s, path, 'secretName', 'shareName'),
    ...(s.secretNamespace === '' ? [required(child(path, 'secretNamespace'))] : []),
  ],
  vsphereVolume: (s, path) => requireFields(s, path, 'volumePath'),
  photonPersistentDisk: (s, path) => requireFields(s, path, 'pdID'),
  portworxVolume: (s, path) => requireFields(s, path, 'volumeID'),
  azureDisk: sources.validateAzureDisk,
  scaleIO: (s, path) => requireFields(s, path, 'gateway', 'system', 'volumeName'),
  local: (s, path) =>
    s.path ? validateNoBacksteps(s.path, child(path, 'path')) : [required(child(path, 'path'))],
  storageos: (s, path) => [
    ...sources.validateStorageOs(s, path),
    ...validateSecretRef(s.secretRef, path, 'name', 'namespace'),
  ],
  csi: validateCsi,
} satisfies { [K in keyof PersistentVolumeSpec]?: Rule<K> };

type SourceName = keyof typeof rules;
const SOURCES = Object.keys(rules) as SourceName[];

/** The sources that a volume has: one of them, if it is valid. */
export const sourcesOf = (spec: PersistentVolumeSpec): Partial<Record<SourceName, unknown>> =>
  Object.fromEntries(SOURCES.filter((name) => spec[name]).map((name) => [name, spec[name]]));

function validateSecretReference(reference: SecretReference, path: string): FieldError[] {
  return (['name', 'namespace'] as const).flatMap((field) => {
    const at = child(path, field);
    const check = field === 'name' ? dns1123Subdomain : dns1123Label;
    return reference[field] ? checked(at, reference[field], check) : [required(at)];
  });
}

function validateCsi(csi: CSIPersistentVolumeSource, path: string): FieldError[] {
  const errors = sources.validateCsiDriverName(csi.driver ?? '', child(path, 'driver'));
  errors.push(...requireFields(csi, path, 'volumeHandle'));
  for (const field of [
    'controllerPublishSecretRef',
    'controllerExpandSecretRef',
    'nodePublishSecretRef',
    'nodeExpandSecretRef',
  ] as const)
    if (csi[field]) errors.push(...validateSecretReference(csi[field], child(path, field)));
  return errors;
}

/** Errors of what only a volume of its own may have. */
function validateInline(spec: PersistentVolumeSpec, path: string): FieldError[] {
  const not = (field: keyof PersistentVolumeSpec): FieldError[] =>
    spec[field] ? [forbidden(child(path, field), `may not be specified ${INLINE}`)] : [];
  const errors = [...not('claimRef'), ...not('capacity')];
  if (!spec.csi) errors.push(required(child(path, 'csi'), `has to be specified ${INLINE}`));
  const policy = spec.persistentVolumeReclaimPolicy;
  if (policy && policy !== 'Retain')
    errors.push(forbidden(child(path, 'persistentVolumeReclaimPolicy'), `may only be Retain ${INLINE}`));
  errors.push(...not('nodeAffinity'), ...not('storageClassName'));
  if (spec.volumeMode !== undefined && spec.volumeMode !== 'Filesystem')
    errors.push(
      forbidden(child(path, 'volumeMode'), `may not specify volumeMode other than Filesystem ${INLINE}`),
    );
  return errors;
}

function validateOwn(spec: PersistentVolumeSpec, path: string): FieldError[] {
  const errors = validateCapacity(spec, child(path, 'capacity'));
  const policy = spec.persistentVolumeReclaimPolicy;
  if (policy && !POLICIES.includes(policy))
    errors.push(notSupported(child(path, 'persistentVolumeReclaimPolicy'), policy, POLICIES));
  if (spec.nodeAffinity) {
    const at = child(path, 'nodeAffinity', 'required');
    if (!spec.nodeAffinity.required) errors.push(required(at, 'must specify required node constraints'));
    else errors.push(...validateNodeSelector(spec.nodeAffinity.required, at, true));
  }
  if (spec.storageClassName)
    errors.push(...checked(child(path, 'storageClassName'), spec.storageClassName, dns1123Subdomain));
  return [...errors, ...validateVolumeMode(spec.volumeMode, path)];
}

function validateCapacity({ capacity = {} }: PersistentVolumeSpec, path: string): FieldError[] {
  const names = Object.keys(capacity);
  const errors: FieldError[] = [];
  if (names.length === 0) errors.push(required(path));
  if (names.length !== 1 || capacity['storage'] === undefined)
    errors.push(notSupported(path, capacity, ['storage']));
  for (const [name, size] of Object.entries(capacity)) {
    const sign = compareQuantities(size, 0);
    const at = key(path, name);
    if (sign < 0) errors.push(invalid(at, canonicalQuantity(size), 'must be a valid resource quantity'));
    if (sign <= 0) errors.push(invalid(at, canonicalQuantity(size), 'must be greater than zero'));
  }
  return errors;
}

/** Exactly one source, with what it needs. */
function validateSource(spec: PersistentVolumeSpec, name: string, path: string): FieldError[] {
  const given = SOURCES.filter((source) => spec[source]);
  if (given.length === 0) return [required(path, 'must specify a volume type')];
  const errors = given.flatMap((source, i) => {
    if (i > 0) return [forbidden(child(path, source), 'may not specify more than 1 volume type')];
    const at = child(path, source === 'gcePersistentDisk' ? 'persistentDisk' : source);
    return (rules[source] as (value: unknown, path: string) => FieldError[])(spec[source], at);
  });
  if (given[0] === 'local' && !spec.nodeAffinity?.required)
    errors.push(required(child(path, 'nodeAffinity'), 'Local volume requires node affinity'));
  if (given[0] === 'iscsi') {
    const portal = spec.iscsi!.targetPortal ?? '';
    errors.push(...sources.portalTooLong(spec.iscsi!, name, child(path, 'iscsi', 'targetportal'), portal));
  }
  return errors;
}

function validateAttributesClass(spec: PersistentVolumeSpec, path: string): FieldError[] {
  const name = spec.volumeAttributesClassName;
  if (name === undefined) return [];
  const at = child(path, 'volumeAttributesClassName');
  const errors =
    name === '' ? [required(at, 'an empty string is disallowed')] : checked(at, name, dns1123Subdomain);
  if (!spec.csi)
    errors.push(required(child(path, 'csi'), 'has to be specified when using volumeAttributesClassName'));
  return errors;
}

/** `name` is that of the volume, and '' for an inline one. */
export function validateVolumeSpec(
  spec: PersistentVolumeSpec,
  name: string,
  path: string,
  inline = false,
): FieldError[] {
  const errors: FieldError[] = [];
  if (!spec.accessModes?.length) errors.push(required(child(path, 'accessModes')));
  errors.push(...validateAccessModes(spec.accessModes ?? [], path));
  errors.push(...(inline ? validateInline : validateOwn)(spec, path), ...validateSource(spec, name, path));
  const root = spec.hostPath?.path && /^\/(\.?\/)*\.?$/.test(spec.hostPath.path);
  if (root && spec.persistentVolumeReclaimPolicy === 'Recycle')
    errors.push(
      forbidden(
        child(path, 'persistentVolumeReclaimPolicy'),
        "may not be 'recycle' for a hostPath mount of '/'",
      ),
    );
  return [...errors, ...validateAttributesClass(spec, path)];
}
