/** Validation of the sources that pods' volumes and PersistentVolumes have in common. */
import type {
  AWSElasticBlockStoreVolumeSource,
  AzureDiskVolumeSource,
  FCVolumeSource,
  FlockerVolumeSource,
  GCEPersistentDiskVolumeSource,
  HostPathVolumeSource,
  ISCSIVolumeSource,
  NFSVolumeSource,
  QuobyteVolumeSource,
  StorageOSVolumeSource,
} from '#types';
import {
  child,
  type FieldError,
  invalid,
  key,
  notSupported,
  required,
  tooLong,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { checked, validateDns1123Label } from '../../../machinery/validation.js';
import { validateNoBacksteps } from './paths.js';

const HOST_PATH_TYPES = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

/** The fields that must not be empty. */
export function requireFields<T>(source: T, path: string, ...fields: (keyof T & string)[]): FieldError[] {
  return fields.filter((field) => !source[field]).map((field) => required(child(path, field)));
}

/** The name that a reference to a Secret must have, and its namespace where a namespace is not given by the object. */
export const validateSecretRef = (
  reference: { name?: string; namespace?: string } | undefined,
  path: string,
  ...fields: ('name' | 'namespace')[]
): FieldError[] => (reference ? requireFields(reference, child(path, 'secretRef'), ...fields) : []);

const lunRange = (lun: number | undefined, path: string): FieldError[] =>
  lun !== undefined && (lun < 0 || lun > 255)
    ? [invalid(child(path, 'lun'), lun, names.inclusiveRange(0, 255))]
    : [];

/** A partition of a disk: 0 is the whole of it, though the message says otherwise. */
const validatePartition = (partition: number | undefined, path: string): FieldError[] =>
  partition !== undefined && (partition < 0 || partition > 255)
    ? [invalid(child(path, 'partition'), partition, names.inclusiveRange(1, 255))]
    : [];

export const validateGcePersistentDisk = (s: GCEPersistentDiskVolumeSource, path: string): FieldError[] => [
  ...requireFields(s, path, 'pdName'),
  ...validatePartition(s.partition, path),
];

export const validateElasticBlockStore = (
  s: AWSElasticBlockStoreVolumeSource,
  path: string,
): FieldError[] => [...requireFields(s, path, 'volumeID'), ...validatePartition(s.partition, path)];

export function validateHostPath(s: HostPathVolumeSource, path: string): FieldError[] {
  if (!s.path) return [required(child(path, 'path'))];
  const errors = validateNoBacksteps(s.path, child(path, 'path'));
  if (!HOST_PATH_TYPES.includes(s.type ?? ''))
    errors.push(notSupported(child(path, 'type'), s.type, HOST_PATH_TYPES));
  return errors;
}

export function validateNfs(s: NFSVolumeSource, path: string): FieldError[] {
  const errors = requireFields(s, path, 'server', 'path');
  if (!s.path?.startsWith('/'))
    errors.push(invalid(child(path, 'path'), s.path ?? '', 'must be an absolute path'));
  return errors;
}

const INITIATORS: Record<string, RegExp> = {
  iqn: /iqn\.\d{4}-\d{2}\.([a-zA-Z0-9\-.]+)(:[^,;*&$|\s]+)$/,
  eui: /^eui.[a-zA-Z0-9]{16}$/,
  naa: /^naa.[a-zA-Z0-9]{32}$/,
};

function validateIqn(value: string, path: string): FieldError[] {
  const pattern = INITIATORS[value.slice(0, 3)];
  if (!pattern) return [invalid(path, value, 'must be valid format starting with iqn, eui, or naa')];
  return pattern.test(value) ? [] : [invalid(path, value, 'must be valid format')];
}

const TOO_LONG_PORTAL =
  'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.';

/** Whether the directory that the initiator makes for the volume has a name that fits. */
export const portalTooLong = (s: ISCSIVolumeSource, volume: string, path: string, shown: string) =>
  s.initiatorName !== undefined && `${volume}:${s.targetPortal ?? ''}`.length > 64
    ? [invalid(path, shown, TOO_LONG_PORTAL)]
    : [];

export function validateIscsi(s: ISCSIVolumeSource, path: string): FieldError[] {
  const errors = requireFields(s, path, 'targetPortal', 'iqn');
  if (s.iqn) errors.push(...validateIqn(s.iqn, child(path, 'iqn')));
  errors.push(...lunRange(s.lun, path));
  if ((s.chapAuthDiscovery || s.chapAuthSession) && !s.secretRef)
    errors.push(required(child(path, 'secretRef')));
  if (s.initiatorName !== undefined)
    errors.push(...validateIqn(s.initiatorName, child(path, 'initiatorname')));
  return errors;
}

export function validateFlocker(s: FlockerVolumeSource, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!s.datasetName && !s.datasetUUID)
    errors.push(required(path, 'one of datasetName and datasetUUID is required'));
  if (s.datasetName && s.datasetUUID)
    errors.push(invalid(path, 'resource', 'datasetName and datasetUUID can not be specified simultaneously'));
  if (s.datasetName?.includes('/'))
    errors.push(invalid(child(path, 'datasetName'), s.datasetName, "must not contain '/'"));
  return errors;
}

export const validateRbd = (s: { monitors?: string[]; image?: string }, path: string): FieldError[] => [
  ...validateMonitors(s, path),
  ...requireFields(s, path, 'image'),
];

export const validateMonitors = (s: { monitors?: string[] }, path: string): FieldError[] =>
  s.monitors?.length ? [] : [required(child(path, 'monitors'))];

export function validateQuobyte(s: QuobyteVolumeSource, path: string): FieldError[] {
  const pairs = 'must be a host:port pair or multiple pairs separated by commas';
  const at = child(path, 'registry');
  const errors: FieldError[] = [];
  if (!s.registry) errors.push(required(at, pairs));
  else if ((s.tenant ?? '').length >= 65)
    errors.push(
      required(child(path, 'tenant'), 'must be a UUID and may not exceed a length of 64 characters'),
    );
  else
    for (const pair of s.registry.split(','))
      if (!/^([^:]*|\[[^\]]*\]):[^:]*$/.test(pair)) errors.push(invalid(at, s.registry, pairs));
  return [...errors, ...requireFields(s, path, 'volume')];
}

export function validateFibreChannel(s: FCVolumeSource, path: string): FieldError[] {
  const wwns = s.targetWWNs?.length ?? 0;
  const wwids = s.wwids?.length ?? 0;
  const at = child(path, 'targetWWNs');
  const errors: FieldError[] = [];
  if (wwns === 0 && wwids === 0)
    errors.push(required(at, 'must specify either targetWWNs or wwids, but not both'));
  if (wwns > 0 && wwids > 0)
    errors.push(invalid(at, s.targetWWNs, 'targetWWNs and wwids can not be specified simultaneously'));
  if (wwns === 0) return errors;
  if (s.lun === undefined)
    errors.push(required(child(path, 'lun'), 'lun is required if targetWWNs is specified'));
  return [...errors, ...lunRange(s.lun, path)];
}

export const validateFlexVolume = (
  s: { driver?: string; options?: Record<string, string> },
  path: string,
): FieldError[] => [
  ...requireFields(s, path, 'driver'),
  ...Object.keys(s.options ?? {})
    .filter((option) => /(^|\.)(kubernetes|k8s)\.io$/.test(option.split('/', 1)[0]!.toLowerCase()))
    .map((option) =>
      invalid(
        key(child(path, 'options'), option),
        option,
        'kubernetes.io and k8s.io namespaces are reserved',
      ),
    ),
];

const MANAGED_URI =
  '/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}';
const BLOB_URI = 'https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd';

export function validateAzureDisk(s: AzureDiskVolumeSource, path: string): FieldError[] {
  const errors = requireFields(s, path, 'diskName', 'diskURI');
  for (const [field, supported] of [
    ['cachingMode', ['None', 'ReadOnly', 'ReadWrite']],
    ['kind', ['Dedicated', 'Managed', 'Shared']],
  ] as const)
    if (s[field] !== undefined && !(supported as readonly string[]).includes(s[field]))
      errors.push(notSupported(child(path, field), s[field], supported));
  if (s.kind === undefined) return errors;
  const [prefix, form] = s.kind === 'Managed' ? ['/subscriptions/', MANAGED_URI] : ['https://', BLOB_URI];
  if (!s.diskURI?.startsWith(prefix))
    errors.push(notSupported(child(path, 'diskURI'), s.diskURI ?? '', [form]));
  return errors;
}

export const validateStorageOs = (s: StorageOSVolumeSource, path: string): FieldError[] => [
  ...(s.volumeName
    ? validateDns1123Label(s.volumeName, child(path, 'volumeName'))
    : requireFields(s, path, 'volumeName')),
  ...(s.volumeNamespace ? validateDns1123Label(s.volumeNamespace, child(path, 'volumeNamespace')) : []),
];

/** The name of a CSI driver: a domain name of at most 63 characters, also in upper case. */
export function validateCsiDriverName(driver: string, path: string): FieldError[] {
  const errors = driver === '' ? [required(path)] : [];
  if (driver.length > 63) errors.push(tooLong(path, 63));
  return [...errors, ...checked(path, driver, (name) => names.dns1123Subdomain(name.toLowerCase()))];
}
