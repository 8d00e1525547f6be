/** What plugins see of persistent storage: the cluster's, with what is decided but not yet written on top. */
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '#types';
import { claimNameOf } from '../../api/storage/pod-claims.js';

export interface StorageView {
  /** By `namespace/name`. */
  claim(key: string): PersistentVolumeClaim | undefined;
  volume(name: string): PersistentVolume | undefined;
  volumes(): PersistentVolume[];
  /** Names of volumes that are promised to another claim than the one of this key. */
  takenFrom(claimKey: string): ReadonlySet<string>;
  /** The node that a claim's volume is to be made for. */
  selectedNode(claim: PersistentVolumeClaim): string | undefined;
  storageClass(name: string): StorageClass | undefined;
  csiNode(name: string): CSINode | undefined;
  csiDriver(name: string): CSIDriver | undefined;
  capacities(): CSIStorageCapacity[];
}

/** A cluster without any storage. */
export const NO_STORAGE: StorageView = {
  claim: () => undefined,
  volume: () => undefined,
  volumes: () => [],
  takenFrom: () => new Set(),
  selectedNode: () => undefined,
  storageClass: () => undefined,
  csiNode: () => undefined,
  csiDriver: () => undefined,
  capacities: () => [],
};

export const usesClaims = ({ spec }: Pod): boolean =>
  spec.volumes?.some((volume) => volume.persistentVolumeClaim ?? volume.ephemeral) ?? false;

/** Claims of the pod that exist. */
export function claimsOfPod(pod: Pod, storage: StorageView): PersistentVolumeClaim[] {
  const found: PersistentVolumeClaim[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    const name = claimNameOf(pod, volume);
    const claim = name ? storage.claim(`${pod.metadata.namespace}/${name}`) : undefined;
    if (claim) found.push(claim);
  }
  return found;
}
