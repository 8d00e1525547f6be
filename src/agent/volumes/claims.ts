/** The volume behind a pod's claim (kubelet `desired_state_of_world_populator`). */
import type { PersistentVolume, PersistentVolumeClaim, Pod, Volume } from '#types';
import { claimNameOf, notForPod } from '../../api/storage/pod-claims.js';
import { VolumeError } from './payloads.js';

export interface ClaimSources {
  /** Of the pod's namespace. */
  claim(name: string): PersistentVolumeClaim | undefined;
  persistentVolume(name: string): PersistentVolume | undefined;
}

/** A volume that can't even be looked at: upstream tells of it in other words than of a failed mount. */
export class ProcessError extends VolumeError {}

/** @throws ProcessError while the claim has no volume that the pod may use. */
export function volumeOfClaim(pod: Pod, volume: Volume, sources: ClaimSources): PersistentVolume {
  const name = claimNameOf(pod, volume)!;
  const { namespace } = pod.metadata;
  const fail = (why: string) => new ProcessError(`error processing PVC ${namespace}/${name}: ${why}`);
  const claim = sources.claim(name);
  if (claim === undefined)
    throw fail(
      `failed to fetch PVC from API server: persistentvolumeclaims ${JSON.stringify(name)} not found`,
    );
  if (claim.metadata.deletionTimestamp) throw fail('PVC is being deleted');
  const conflict = volume.ephemeral && notForPod(pod, claim);
  if (conflict) throw fail(conflict);
  const { volumeName } = claim.spec;
  if (claim.status?.phase !== 'Bound' || !volumeName) throw fail('PVC is not bound');
  const found = sources.persistentVolume(volumeName);
  if (found === undefined)
    throw fail(
      `failed to fetch PV ${volumeName} from API server: persistentvolumes ${JSON.stringify(volumeName)} not found`,
    );
  if (found.spec.claimRef?.uid !== claim.metadata.uid)
    throw fail(`PV ${volumeName} is not bound to the PVC: the UIDs differ`);
  checkMode(pod, volume, found);
  return found;
}

/** A block volume is a device for the container, any other one a folder. */
function checkMode(
  { spec }: Pod,
  { name }: Volume,
  { spec: { volumeMode = 'Filesystem' } }: PersistentVolume,
): void {
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const isMounted = containers.some((c) => c.volumeMounts?.some((mount) => mount.name === name));
  const isDevice = containers.some((c) => c.volumeDevices?.some((device) => device.name === name));
  if (isMounted && volumeMode === 'Block')
    throw new ProcessError(`volume ${name} has volumeMode Block, but is specified in volumeMounts`);
  if (isDevice && volumeMode !== 'Block')
    throw new ProcessError(`volume ${name} has volumeMode Filesystem, but is specified in volumeDevices`);
}
