/** What pods use of a node's memory and disk, read when it counts. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '#types';
import type { Runtime } from '../../../runtime/types.js';
import { logDirectory } from '../../pods/container-config.js';
import type { PodUsage } from './ranking.js';

export interface DiskUse {
  bytes: number;
  inodes: number;
}

/** Of a folder and all below on its file system, as du(1) counts; what goes meanwhile counts as gone. */
export async function diskUse(path: string): Promise<DiskUse> {
  const top = await lstat(path).catch(() => undefined);
  if (!top) return { bytes: 0, inodes: 0 };
  const linked = new Set<number>();
  const total = { bytes: top.blocks * 512, inodes: 1 };
  const folders = top.isDirectory() ? [path] : [];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const name of await readdir(folder).catch(() => [])) {
      const file = join(folder, name);
      const stat = await lstat(file).catch(() => undefined);
      if (!stat || stat.dev !== top.dev || linked.has(stat.ino)) continue;
      if (stat.nlink > 1 && !stat.isDirectory()) linked.add(stat.ino);
      total.bytes += stat.blocks * 512;
      total.inodes++;
      if (stat.isDirectory()) folders.push(file);
    }
  }
  return total;
}

/** A pod's emptyDirs that are on disk, by volume name. `dir`: the pod's own folder. */
export async function emptyDirUse(pod: Pod, dir: string): Promise<Record<string, DiskUse>> {
  const volumes = (pod.spec.volumes ?? []).filter(({ emptyDir }) => emptyDir && !emptyDir.medium);
  const found = volumes.map(async ({ name }) => [
    name,
    await diskUse(join(dir, 'volumes', 'kubernetes.io~empty-dir', name)),
  ]);
  return Object.fromEntries(await Promise.all(found));
}

/** `disk`: also what it has on the node's file system, which takes a walk through its files. */
export async function measure(
  pod: Pod,
  dir: string,
  runtime: Runtime,
  disk: boolean,
): Promise<PodUsage & { volumes: Record<string, number> }> {
  const uid = pod.metadata.uid!;
  const none = { cpuNanos: 0, memoryBytes: 0, workingSetBytes: 0, pids: 0 };
  const whole = await runtime.stats(uid).catch(() => none);
  const usage: PodUsage & { volumes: Record<string, number> } = {
    ...{ pod, memory: whole.workingSetBytes, pids: whole.pids, disk: 0, inodes: 0 },
    ...{ containers: {}, volumes: {} },
  };
  for (const { id, name, state } of runtime.sandbox(uid)?.containers ?? []) {
    if (state !== 'running') continue;
    const stats = await runtime.stats(id).catch(() => none);
    usage.containers[name] = { memory: stats.workingSetBytes, disk: 0 };
    if (!disk) continue;
    const layer = await diskUse(runtime.writableLayer(id));
    const log = await diskUse(join(logDirectory(pod), name));
    usage.containers[name].disk = layer.bytes + log.bytes;
    usage.disk += layer.bytes + log.bytes;
    usage.inodes += layer.inodes + log.inodes;
  }
  if (!disk) return usage;
  for (const [name, { bytes, inodes }] of Object.entries(await emptyDirUse(pod, dir))) {
    usage.volumes[name] = bytes;
    usage.disk += bytes;
    usage.inodes += inodes;
  }
  return usage;
}
