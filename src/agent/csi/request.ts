/** What a storage driver is asked for, from what the API says of a volume. Pure. */
import { createHash } from 'node:crypto';
import type { CSIDriver, PersistentVolume, Pod, Secret, Volume } from '#types';
import { AccessMode, type VolumeCapability } from '../../rpc/csi.js';
import { VolumeError } from '../volumes/payloads.js';
import type { Driver } from './drivers.js';

/** A volume of a storage driver, as one pod uses it. */
export interface CsiVolume {
  driver: string;
  handle: string;
  /** The name of the PersistentVolume, or of the pod's volume where it lives and dies with the pod. */
  specName: string;
  ephemeral: boolean;
  block: boolean;
  readOnly: boolean;
  attributes: Record<string, string>;
  fsType: string;
  accessModes: string[];
  mountOptions: string[];
  /** `namespace/name` of Secrets. */
  stageSecret?: string;
  publishSecret?: string;
  expandSecret?: string;
}

const secretKey = (ref: { namespace?: string; name?: string } | undefined, namespace = '') =>
  ref?.name ? `${ref.namespace ?? namespace}/${ref.name}` : undefined;

export function persistentCsiVolume({ spec, metadata }: PersistentVolume, readOnly: boolean): CsiVolume {
  const csi = spec.csi!;
  return {
    driver: csi.driver,
    handle: csi.volumeHandle,
    specName: metadata.name,
    ephemeral: false,
    block: spec.volumeMode === 'Block',
    readOnly: readOnly || (csi.readOnly ?? false),
    attributes: { ...csi.volumeAttributes },
    fsType: csi.fsType ?? '',
    accessModes: spec.accessModes ?? [],
    mountOptions: spec.mountOptions ?? [],
    stageSecret: secretKey(csi.nodeStageSecretRef),
    publishSecret: secretKey(csi.nodePublishSecretRef),
    expandSecret: secretKey(csi.nodeExpandSecretRef),
  };
}

/** @throws VolumeError when the driver does not offer volumes that live with a pod. */
export function ephemeralCsiVolume(pod: Pod, volume: Volume, driver: CSIDriver | undefined): CsiVolume {
  const csi = volume.csi!;
  if (driver === undefined)
    throw new VolumeError(
      `volume mode "Ephemeral" not supported by driver ${csi.driver} (no CSIDriver object)`,
    );
  if (!driver.spec.volumeLifecycleModes?.includes('Ephemeral'))
    throw new VolumeError(
      `volume mode "Ephemeral" not supported by driver ${csi.driver} (only supports ${JSON.stringify(driver.spec.volumeLifecycleModes ?? [])})`,
    );
  const { uid, namespace } = pod.metadata;
  return {
    driver: csi.driver,
    handle: `csi-${createHash('sha256').update(`${uid}${volume.name}`).digest('hex')}`,
    specName: volume.name,
    ephemeral: true,
    block: false,
    readOnly: csi.readOnly ?? false,
    attributes: { ...csi.volumeAttributes },
    fsType: csi.fsType ?? '',
    accessModes: ['ReadWriteOnce'],
    mountOptions: [],
    publishSecret: secretKey(csi.nodePublishSecretRef, namespace),
  };
}

export function capability(
  volume: CsiVolume,
  driver: Driver,
  mountGroup: number | undefined,
): VolumeCapability {
  const accessMode = { mode: accessModeOf(volume.accessModes[0] ?? '', driver) };
  if (volume.block) return { block: {}, accessMode };
  const group = mountGroup !== undefined && driver.can.mountGroup ? `${mountGroup}` : '';
  return {
    mount: { fsType: volume.fsType, mountFlags: volume.mountOptions, volumeMountGroup: group },
    accessMode,
  };
}

function accessModeOf(mode: string, { can }: Driver): number {
  switch (mode) {
    case 'ReadWriteOnce':
      return can.singleNodeMultiWriter ? AccessMode.SINGLE_NODE_MULTI_WRITER : AccessMode.SINGLE_NODE_WRITER;
    case 'ReadWriteOncePod':
      return can.singleNodeMultiWriter ? AccessMode.SINGLE_NODE_SINGLE_WRITER : AccessMode.SINGLE_NODE_WRITER;
    case 'ReadOnlyMany':
      return AccessMode.MULTI_NODE_READER_ONLY;
    case 'ReadWriteMany':
      return AccessMode.MULTI_NODE_MULTI_WRITER;
    default:
      return AccessMode.UNKNOWN;
  }
}

/** Whether the files are to be given to fsGroup here, and not by the driver. */
export function changesGroup(volume: CsiVolume, driver: Driver, object: CSIDriver | undefined): boolean {
  if (volume.block || volume.readOnly || driver.can.mountGroup) return false;
  const policy = object?.spec.fsGroupPolicy ?? 'ReadWriteOnceWithFSType';
  if (policy === 'File') return true;
  const isSingle = volume.accessModes.some((mode) => mode === 'ReadWriteOnce' || mode === 'ReadWriteOncePod');
  return policy === 'ReadWriteOnceWithFSType' && volume.fsType !== '' && isSingle && !volume.ephemeral;
}

/** What drivers that ask for it are told of the pod. */
export function podInfo(pod: Pod, volume: CsiVolume, object: CSIDriver | undefined): Record<string, string> {
  if (!object?.spec.podInfoOnMount) return {};
  return {
    'csi.storage.k8s.io/pod.name': pod.metadata.name,
    'csi.storage.k8s.io/pod.namespace': pod.metadata.namespace ?? '',
    'csi.storage.k8s.io/pod.uid': pod.metadata.uid ?? '',
    'csi.storage.k8s.io/serviceAccount.name': pod.spec.serviceAccountName ?? 'default',
    'csi.storage.k8s.io/ephemeral': `${volume.ephemeral}`,
  };
}

export function secretData(secret: Secret | undefined, key: string): Record<string, string> {
  if (secret === undefined) throw new VolumeError(`secret ${JSON.stringify(key)} not found`);
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([name, value]) => [name, Buffer.from(value, 'base64').toString()]),
  );
}
