/** What becomes of a volume (upstream `syncVolume`). */
import type { PersistentVolume, PersistentVolumeClaim } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { persistentVolumeClaims, persistentVolumes } from '../../api/resources/index.js';
import { ANNOTATION } from '../../api/storage/annotations.js';
import { claimKeyOf, hasAnnotation } from '../../api/storage/matching.js';
import type { Context } from '../context.js';
import type { VolumeStore } from './store.js';

export interface VolumeParts {
  context: Context;
  store: VolumeStore;
  /** A claim has to be looked at. */
  claimChanged(key: string): void;
}

export async function syncVolume(parts: VolumeParts, volume: PersistentVolume): Promise<void> {
  const { context, store, claimChanged } = parts;
  const { claimRef } = volume.spec;
  // Without a UID it is promised to a claim that need not be there yet.
  if (!claimRef?.uid) {
    await store.setPhase(volume, 'Available');
    if (claimRef) claimChanged(claimKeyOf(volume)!);
    return;
  }
  const claim = await ownClaim(parts, volume);
  if (claim === undefined) return released(parts, volume);
  if (claim.spec.volumeName === volume.metadata.name) return void (await store.setPhase(volume, 'Bound'));
  if (!claim.spec.volumeName) {
    if ((claim.spec.volumeMode ?? 'Filesystem') !== (volume.spec.volumeMode ?? 'Filesystem')) {
      const message = `Cannot bind PersistentVolume to requested PersistentVolumeClaim ${JSON.stringify(claim.metadata.name)} due to incompatible volumeMode.`;
      context.events.event(volume, 'Warning', 'VolumeMismatch', message);
      const other = `Cannot bind PersistentVolume ${JSON.stringify(volume.metadata.name)} to requested PVC due to incompatible volumeMode.`;
      context.events.event(claim, 'Warning', 'VolumeMismatch', other);
      return;
    }
    return claimChanged(objectKey(claim));
  }
  // The claim has another volume.
  const isMade = hasAnnotation(volume, ANNOTATION.provisionedBy);
  if (isMade && volume.spec.persistentVolumeReclaimPolicy === 'Delete') return released(parts, volume);
  return store.unbind(volume);
}

/** The claim that the volume is bound to, unless it is gone; asks the server where the cache may lag. */
async function ownClaim(
  { context, store }: VolumeParts,
  volume: PersistentVolume,
): Promise<PersistentVolumeClaim | undefined> {
  const { uid, namespace = '', name = '' } = volume.spec.claimRef!;
  const cached = store.claims.get(claimKeyOf(volume)!);
  if (cached?.metadata.uid === uid) return cached;
  if (volume.status?.phase === 'Released' || volume.status?.phase === 'Failed') return undefined;
  try {
    const claim = await context.client.of(persistentVolumeClaims).get(namespace, name);
    return claim.metadata.uid === uid ? claim : undefined;
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

async function released(parts: VolumeParts, volume: PersistentVolume): Promise<void> {
  const { phase } = volume.status ?? {};
  const seen =
    phase === 'Released' || phase === 'Failed' ? volume : await parts.store.setPhase(volume, 'Released');
  const policy = seen.spec.persistentVolumeReclaimPolicy;
  // Whoever made a volume deletes it.
  if (policy === 'Delete' && !hasAnnotation(seen, ANNOTATION.provisionedBy)) await remove(parts, seen);
  if (policy === 'Recycle')
    await fail(parts, seen, 'VolumeFailedRecycle', 'No recycler plugin found for the volume!');
}

/** A volume that no provisioner made: only folders below /tmp are deleted, as upstream's hostPath plugin has it. */
async function remove(parts: VolumeParts, volume: PersistentVolume): Promise<void> {
  if (volume.spec.csi) return;
  const { name } = volume.metadata;
  const why = volume.spec.hostPath
    ? `host_path deleter only supports /tmp/.+ but received provided ${volume.spec.hostPath.path}`
    : `error getting deleter volume plugin for volume ${JSON.stringify(name)}: no deletable volume plugin matched`;
  if (volume.spec.hostPath && /^\/tmp\/.+/.test(volume.spec.hostPath.path)) {
    await parts.context.client
      .of(persistentVolumes)
      .delete('', name, { preconditions: { uid: volume.metadata.uid } })
      .catch((error: unknown) => {
        if (!isReason(error, 'NotFound')) throw error;
      });
    return;
  }
  await fail(parts, volume, 'VolumeFailedDelete', why);
}

async function fail(
  { context, store }: VolumeParts,
  volume: PersistentVolume,
  reason: string,
  message: string,
): Promise<void> {
  if (volume.status?.phase === 'Failed') return;
  const failed = await store.setPhase(volume, 'Failed', message);
  context.events.event(failed, 'Warning', reason, message);
}
