/** Control groups behind one interface, for the version that is mounted. */
import { readFileSync } from 'node:fs';
import type { DeviceRule } from '../spec/devices.js';
import type { ContainerStats, Limits } from '../types.js';
import { RuntimeError } from '../types.js';
import { CgroupV1 } from './v1.js';
import { CgroupV2 } from './v2.js';

/** A mount of a cgroup file system that a container is to see, as mount(2) takes it. */
export interface CgroupMount {
  target: string;
  type: string;
  data: string;
}

/** Paths are relative to the hierarchies' roots, such as `keelson/c/n/burstable/pod1/<container>`. */
export interface Cgroups {
  /** Makes the group, with its parents. `devices`: the nodes its processes may use; absent: as the parent. `more`: besides those. */
  create(path: string, limits: Limits, devices?: 'default' | 'all', more?: DeviceRule[]): void;
  /** A parent of groups that have limits. */
  createParent(path: string, limits: Limits): void;
  exists(path: string): boolean;
  /** Names of the groups right below it. */
  below(path: string): string[];
  /** Other limits for a group that is there; absent means no limit. */
  update(path: string, limits: Limits): void;
  /** Files to write `0` to, to join it. */
  procs(path: string): string[];
  /** What the shim ends a group's processes by: `cgroup.kill`, or a list of processes. */
  killFile(path: string): string;
  /** The folder that takes a filter for devices; empty where `create` limits them by itself. */
  deviceFolder(path: string): string;
  /** A file with a line `oom_kill <count>`. */
  oomFile(path: string): string;
  stats(path: string): ContainerStats;
  /** SIGKILL to all processes in and below it. */
  kill(path: string): void;
  /** Removes it and all below, once its processes are gone; waits at most `timeoutMs`. Absent: nothing to do. */
  remove(path: string, timeoutMs?: number): Promise<void>;
  /** Removes empty parents of `path` from below up, `path` itself included. */
  prune(path: string): void;
  mounts(): CgroupMount[];
}

/** One mount of /proc/self/mountinfo. */
export interface MountInfo {
  root: string;
  point: string;
  type: string;
  /** The file system's own options. */
  options: string[];
}

/** Parses /proc/<pid>/mountinfo, see proc_pid_mountinfo(5). */
export function parseMountInfo(text: string): MountInfo[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const fields = line.split(' ');
      const dash = fields.indexOf('-', 6);
      const plain = (s = '') =>
        s.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
      return {
        root: plain(fields[3]),
        point: plain(fields[4]),
        type: fields[dash + 1] ?? '',
        options: (fields[dash + 3] ?? '').split(','),
      };
    });
}

/** Chooses by what is mounted below /sys/fs/cgroup. Throws RuntimeError('Internal') when nothing fits. */
export function openCgroups(
  mountInfo = readFileSync('/proc/self/mountinfo', 'utf8'),
  folder = '/sys/fs/cgroup',
): Cgroups {
  const mounts = parseMountInfo(mountInfo);
  const top = mounts.findLast((m) => m.point === folder);
  if (top?.type === 'cgroup2') return new CgroupV2(folder);
  const hierarchies = mounts.filter(
    (m) => m.type === 'cgroup' && !m.options.some((o) => o.startsWith('name=')),
  );
  const unified = mounts.find((m) => m.type === 'cgroup2');
  if (!hierarchies.some((h) => h.options.includes('memory')))
    throw new RuntimeError('Internal', `no cgroup memory controller is mounted below ${folder}`);
  return new CgroupV1(hierarchies, unified?.point);
}
