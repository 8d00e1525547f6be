/** Validation of a pod's volumes. */
import type { KeyToPath, ObjectMeta, Volume, VolumeSource } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  key,
  notSupported,
  required,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { quantityMilli } from '../../../machinery/quantity.js';
import { checked, validateDns1123Label } from '../../../machinery/validation.js';
import { validateDescending, validateFileMode, validateKeyToPath, validateNoBacksteps } from './paths.js';
import { validateDownwardFile, validateProjected } from './validate-projected.js';

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

type Rules = {
  [K in keyof VolumeSource]-?: (source: NonNullable<VolumeSource[K]>, path: string) => FieldError[];
};

/** The fields that must not be empty. */
function requireFields<T>(source: T, path: string, ...fields: (keyof T & string)[]): FieldError[] {
  return fields.filter((field) => !source[field]).map((field) => required(child(path, field)));
}

const range = (value: number | undefined, path: string, low: number, high: number): FieldError[] =>
  value !== undefined && (value < low || value > high)
    ? [invalid(path, value, names.inclusiveRange(low, high))]
    : [];

const validateItems = (items: KeyToPath[] | undefined, path: string): FieldError[] =>
  (items ?? []).flatMap((item, i) => validateKeyToPath(item, index(child(path, 'items'), i)));

/** In the order in which upstream looks at them; the second source of a volume is forbidden. */
const rules: Rules = {
  emptyDir: (s, path) =>
    s.sizeLimit !== undefined && quantityMilli(s.sizeLimit) < 0
      ? [forbidden(child(path, 'sizeLimit'), 'SizeLimit field must be a valid resource quantity')]
      : [],
  hostPath: (s, path) =>
    s.path
      ? [
          ...validateNoBacksteps(s.path, child(path, 'path')),
          ...(HOST_PATH_TYPES.includes(s.type ?? '')
            ? []
            : [notSupported(child(path, 'type'), s.type, HOST_PATH_TYPES)]),
        ]
      : [required(child(path, 'path'))],
  gitRepo: (s, path) => [
    ...requireFields(s, path, 'repository'),
    ...validateDescending(s.directory ?? '', child(path, 'directory')),
  ],
  gcePersistentDisk: (s, path) => [
    ...requireFields(s, path, 'pdName'),
    ...range(s.partition, child(path, 'partition'), 0, 255),
  ],
  awsElasticBlockStore: (s, path) => [
    ...requireFields(s, path, 'volumeID'),
    ...range(s.partition, child(path, 'partition'), 0, 255),
  ],
  secret: (s, path) => [
    ...requireFields(s, path, 'secretName'),
    ...validateFileMode(s.defaultMode, child(path, 'defaultMode')),
    ...validateItems(s.items, path),
  ],
  nfs: (s, path) => [
    ...requireFields(s, path, 'server', 'path'),
    ...((s.path ?? '').startsWith('/')
      ? []
      : [invalid(child(path, 'path'), s.path ?? '', 'must be an absolute path')]),
  ],
  iscsi: (s, path) => {
    const errors = requireFields(s, path, 'targetPortal', 'iqn');
    if (s.iqn) errors.push(...validateIqn(s.iqn, child(path, 'iqn')));
    errors.push(...range(s.lun, child(path, 'lun'), 0, 255));
    if ((s.chapAuthDiscovery || s.chapAuthSession) && !s.secretRef)
      errors.push(required(child(path, 'secretRef')));
    if (s.initiatorName) errors.push(...validateIqn(s.initiatorName, child(path, 'initiatorname')));
    return errors;
  },
  glusterfs: (s, path) => requireFields(s, path, 'endpoints', 'path'),
  flocker: (s, path) => {
    const errors: FieldError[] = [];
    if (!s.datasetName && !s.datasetUUID)
      errors.push(required(path, 'one of datasetName and datasetUUID is required'));
    if (s.datasetName && s.datasetUUID)
      errors.push(
        invalid(path, 'resource', 'datasetName and datasetUUID can not be specified simultaneously'),
      );
    if (s.datasetName?.includes('/'))
      errors.push(invalid(child(path, 'datasetName'), s.datasetName, "must not contain '/'"));
    return errors;
  },
  persistentVolumeClaim: (s, path) => requireFields(s, path, 'claimName'),
  rbd: (s, path) => [
    ...(s.monitors?.length ? [] : [required(child(path, 'monitors'))]),
    ...requireFields(s, path, 'image'),
  ],
  cinder: (s, path) => [
    ...requireFields(s, path, 'volumeID'),
    ...(s.secretRef && !s.secretRef.name ? [required(child(path, 'secretRef', 'name'))] : []),
  ],
  cephfs: (s, path) => (s.monitors?.length ? [] : [required(child(path, 'monitors'))]),
  quobyte: (s, path) => {
    const pairs = 'must be a host:port pair or multiple pairs separated by commas';
    const errors: FieldError[] = [];
    if (!s.registry) errors.push(required(child(path, 'registry'), pairs));
    else if ((s.tenant ?? '').length >= 65)
      errors.push(
        required(child(path, 'tenant'), 'must be a UUID and may not exceed a length of 64 characters'),
      );
    else if (!s.registry.split(',').every((pair) => /^[^:]*:[^:]*$/.test(pair)))
      errors.push(invalid(child(path, 'registry'), s.registry, pairs));
    return [...errors, ...requireFields(s, path, 'volume')];
  },
  downwardAPI: (s, path) => [
    ...validateFileMode(s.defaultMode, child(path, 'defaultMode')),
    ...(s.items ?? []).flatMap((item) => validateDownwardFile(item, path)),
  ],
  fc: (s, path) => {
    const wwns = s.targetWWNs?.length ?? 0;
    const wwids = s.wwids?.length ?? 0;
    const at = child(path, 'targetWWNs');
    const errors: FieldError[] = [];
    if (wwns === 0 && wwids === 0)
      errors.push(required(at, 'must specify either targetWWNs or wwids, but not both'));
    if (wwns > 0 && wwids > 0)
      errors.push(invalid(at, s.targetWWNs, 'targetWWNs and wwids can not be specified simultaneously'));
    if (wwns > 0 && s.lun === undefined)
      errors.push(required(child(path, 'lun'), 'lun is required if targetWWNs is specified'));
    return wwns > 0 ? [...errors, ...range(s.lun, child(path, 'lun'), 0, 255)] : errors;
  },
  flexVolume: (s, path) => [
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
  ],
  configMap: (s, path) => [
    ...requireFields(s, path, 'name'),
    ...validateFileMode(s.defaultMode, child(path, 'defaultMode')),
    ...validateItems(s.items, path),
  ],
  azureFile: (s, path) => requireFields(s, path, 'secretName', 'shareName'),
  vsphereVolume: (s, path) => requireFields(s, path, 'volumePath'),
  photonPersistentDisk: (s, path) => requireFields(s, path, 'pdID'),
  portworxVolume: (s, path) => requireFields(s, path, 'volumeID'),
  azureDisk: (s, path) => requireFields(s, path, 'diskName', 'diskURI'),
  storageos: (s, path) => [
    ...(s.volumeName
      ? validateDns1123Label(s.volumeName, child(path, 'volumeName'))
      : requireFields(s, path, 'volumeName')),
    ...(s.volumeNamespace ? validateDns1123Label(s.volumeNamespace, child(path, 'volumeNamespace')) : []),
    ...(s.secretRef && !s.secretRef.name ? [required(child(path, 'secretRef', 'name'))] : []),
  ],
  projected: validateProjected,
  scaleIO: (s, path) => requireFields(s, path, 'gateway', 'system', 'volumeName'),
  csi: (s, path) => [
    ...validateCsiDriver(s.driver ?? '', child(path, 'driver')),
    ...(s.nodePublishSecretRef && !s.nodePublishSecretRef.name
      ? [required(child(path, 'nodePublishSecretRef', 'name'))]
      : []),
  ],
  ephemeral: (s, path) => {
    const template = child(path, 'volumeClaimTemplate');
    const spec = s.volumeClaimTemplate?.spec;
    if (!s.volumeClaimTemplate) return [required(template)];
    const errors: FieldError[] = [];
    if (!spec?.accessModes?.length)
      errors.push(required(child(template, 'spec', 'accessModes'), 'at least 1 access mode is required'));
    if (!spec?.resources?.requests?.['storage'])
      errors.push(required(key(child(template, 'spec', 'resources'), 'storage')));
    return errors;
  },
  image: (s, path) => [
    ...requireFields(s, path, 'reference'),
    ...(['Always', 'IfNotPresent', 'Never'].includes(s.pullPolicy ?? '')
      ? []
      : [notSupported(child(path, 'pullPolicy'), s.pullPolicy ?? '', ['Always', 'IfNotPresent', 'Never'])]),
  ],
};

function validateIqn(value: string, path: string): FieldError[] {
  const patterns: Record<string, RegExp> = {
    iqn: /iqn\.\d{4}-\d{2}\.([a-zA-Z0-9\-.]+)(:[^,;*&$|\s]+)$/,
    eui: /^eui.[a-zA-Z0-9]{16}$/,
    naa: /^naa.[a-zA-Z0-9]{32}$/,
  };
  const pattern = patterns[value.slice(0, 3)];
  if (!pattern) return [invalid(path, value, 'must be valid format starting with iqn, eui, or naa')];
  return pattern.test(value) ? [] : [invalid(path, value, 'must be valid format')];
}

function validateCsiDriver(driver: string, path: string): FieldError[] {
  if (driver === '') return [required(path)];
  return checked(path, driver, (name) => names.dns1123Subdomain(name.toLowerCase()));
}

function validateSource(volume: Volume, path: string, meta: ObjectMeta | undefined): FieldError[] {
  const given = (Object.keys(rules) as (keyof VolumeSource)[]).filter((kind) => volume[kind]);
  if (given.length === 0) return [required(path, 'must specify a volume type')];
  const errors = given.flatMap((kind, i) =>
    i > 0
      ? [forbidden(child(path, kind), 'may not specify more than 1 volume type')]
      : (rules[kind] as (source: unknown, path: string) => FieldError[])(volume[kind], child(path, kind)),
  );
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
