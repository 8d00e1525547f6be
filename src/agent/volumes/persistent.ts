/** PersistentVolumes on the node: where their files are. */
import { stat } from 'node:fs/promises';
import type { PersistentVolume, Pod } from '#types';
import { hostPath } from './host-path.js';
import { setOwnership } from './ownership.js';
import { VolumeError } from './payloads.js';

/** Path of a file-system volume whose files are on the node itself. @throws VolumeError */
export async function localVolumePath(
  pod: Pod,
  { spec, metadata }: PersistentVolume,
  readOnly: boolean,
): Promise<string> {
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
