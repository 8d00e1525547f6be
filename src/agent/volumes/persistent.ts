/** PersistentVolumes on the node: where their files are. */
import { stat } from 'node:fs/promises';
import type { PersistentVolume, Pod } from '#types';
import { hostPath } from './host-path.js';
import { setOwnership } from './ownership.js';
import { VolumeError } from './payloads.js';

/** Path of a volume that the containers get as a device. @throws VolumeError */
async function blockVolumePath({ spec, metadata }: PersistentVolume): Promise<string> {
  const path = spec.local?.path ?? spec.hostPath?.path;
  if (path === undefined) throw new VolumeError(`no volume plugin matched for ${metadata.name}`);
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new VolumeError(`path ${JSON.stringify(path)} does not exist`);
  if (!found.isBlockDevice()) throw new VolumeError(`${path} is not a block device`);
  return path;
}

/** Path of a volume that is on the node itself. @throws VolumeError */
export async function localVolumePath(
  pod: Pod,
  volume: PersistentVolume,
  readOnly: boolean,
): Promise<string> {
  const { spec, metadata } = volume;
  if (spec.volumeMode === 'Block') return blockVolumePath(volume);
  if (spec.hostPath) return hostPath(spec.hostPath.path, spec.hostPath.type);
  if (spec.local) {
    const { path } = spec.local;
    if (!(await stat(path).catch(() => undefined)))
      throw new VolumeError(`path ${JSON.stringify(path)} does not exist`);
    if (!readOnly) await giveToGroup(pod, path, readOnly);
    return path;
  }
  throw new VolumeError(`no volume plugin matched for ${metadata.name}`);
}

export async function giveToGroup(pod: Pod, path: string, readOnly: boolean): Promise<void> {
  const { fsGroup, fsGroupChangePolicy } = pod.spec.securityContext ?? {};
  if (fsGroup === undefined) return;
  await setOwnership(path, { fsGroup, onRootMismatch: fsGroupChangePolicy === 'OnRootMismatch', readOnly });
}
