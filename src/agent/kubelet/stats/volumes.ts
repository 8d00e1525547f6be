/** What a pod's volumes hold. Of claims it is their file system that counts; of what is the pod's own, its files. */
import type { Volume } from '#types';
import { type DiskUse, diskUse } from '../../node/eviction/measure.js';
import type { PodWorker } from '../../pods/worker.js';
import { isPayloadVolume } from '../../volumes/payloads.js';
import { type FileSystemStats, fileSystem } from './files.js';

export interface VolumeStats {
  /** As the Summary API has it. */
  shown: FileSystemStats & { time: string; name: string; pvcRef?: { name: string; namespace: string } };
  /** What counts as the pod's use of the node's disk. */
  use: DiskUse | undefined;
}

/** Of the volumes that are mounted and can be measured. */
export async function volumeStats(
  worker: PodWorker,
  disk: FileSystemStats | undefined,
  time: string,
): Promise<VolumeStats[]> {
  const found = (worker.pod.spec.volumes ?? []).map((volume) => statsOf(worker, volume, disk, time));
  return (await Promise.all(found)).filter((stats) => stats !== undefined);
}

async function statsOf(
  worker: PodWorker,
  volume: Volume,
  disk: FileSystemStats | undefined,
  time: string,
): Promise<VolumeStats | undefined> {
  const { pod, volumes } = worker;
  const path = volumes.get(volume.name);
  if (path === undefined) return undefined;
  const { name, emptyDir } = volume;
  const claim =
    volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && `${pod.metadata.name}-${name}`);
  if (claim || emptyDir?.medium === 'Memory') {
    const system = (claim && (await worker.volumeUsage(volume))) || (await fileSystem(path));
    const pvcRef = claim && { name: claim, namespace: pod.metadata.namespace ?? '' };
    return system && { shown: { time, ...system, name, ...(pvcRef ? { pvcRef } : {}) }, use: undefined };
  }
  if (!disk || !(emptyDir || isPayloadVolume(volume))) return undefined;
  const use = await diskUse(path);
  const shown = { time, ...disk, usedBytes: use.bytes, inodesUsed: use.inodes, name };
  return { shown, use: emptyDir ? use : undefined };
}
