/** What is mounted in a container, in order: the standard file systems, then the pod's volumes by depth. */
import { posix } from 'node:path';
import type { CgroupMount } from '../cgroup/cgroup.js';
import { MountKind, Propagation, Tag } from '../shim/protocol.js';
import { FieldWriter } from '../shim/wire.js';
import { type Mount, RuntimeError } from '../types.js';

// Of mount(2).
const RDONLY = 1;
const NOSUID = 2;
const NODEV = 4;
const NOEXEC = 8;
const REMOUNT = 32;
const BIND = 4096;
const RECURSIVE = 16384;
const STRICTATIME = 1 << 24;

interface Entry {
  kind: number;
  source: string;
  target: string;
  type: string;
  flags: number;
  data: string;
  propagation: number;
}

export interface MountOptions {
  mounts: Mount[];
  privileged: boolean;
  hostIpc: boolean;
  cgroups: CgroupMount[];
}

export function containerMounts(options: MountOptions): FieldWriter[] {
  const volumes = options.mounts.map(volume);
  volumes.sort((a, b) => depth(a.target) - depth(b.target));
  // A volume in the place of a standard mount takes it.
  const taken = new Set(volumes.map((m) => m.target));
  const standard = standardMounts(options).filter((m) => !taken.has(m.target));
  return [...standard, ...volumes].map(encode);
}

function standardMounts({ privileged, hostIpc, cgroups }: MountOptions): Entry[] {
  const fs = (type: string, target: string, flags: number, data = ''): Entry => ({
    kind: MountKind.filesystem,
    source: type,
    target,
    type,
    flags,
    data,
    propagation: 0,
  });
  const readOnly = privileged ? 0 : RDONLY;
  const strict = NOSUID | NOEXEC | NODEV;
  return [
    fs('proc', '/proc', strict),
    fs('tmpfs', '/dev', NOSUID | STRICTATIME, 'mode=755,size=65536k'),
    fs('devpts', '/dev/pts', NOSUID | NOEXEC, 'newinstance,ptmxmode=0666,mode=0620,gid=5'),
    fs('mqueue', '/dev/mqueue', strict),
    hostIpc
      ? volume({ source: '/dev/shm', target: '/dev/shm', readOnly: false })
      : { ...fs('', '/dev/shm', 0), kind: MountKind.shm },
    fs('sysfs', '/sys', strict | readOnly),
    ...cgroupMounts(cgroups, fs, strict, readOnly),
  ];
}

/** One file system, or several in a folder that is closed for writing when they are in place. */
function cgroupMounts(
  cgroups: CgroupMount[],
  fs: (type: string, target: string, flags: number, data?: string) => Entry,
  strict: number,
  readOnly: number,
): Entry[] {
  const entries = cgroups.map((m) => fs(m.type, m.target, strict | readOnly, m.data));
  const top = '/sys/fs/cgroup';
  if (cgroups.some((m) => m.target === top)) return entries;
  return [
    fs('tmpfs', top, strict, 'mode=755'),
    ...entries,
    fs('tmpfs', top, BIND | REMOUNT | strict | readOnly),
  ];
}

function volume(mount: Mount): Entry {
  const target = posix.normalize(mount.target).replace(/(.)\/$/, '$1');
  if (!target.startsWith('/') || target === '/')
    throw new RuntimeError('Invalid', `invalid mount path "${mount.target}"`);
  return {
    kind: MountKind.bind,
    source: mount.source,
    target,
    type: '',
    flags: mount.readOnly ? RDONLY | (mount.recursive ? RECURSIVE : 0) : 0,
    data: '',
    propagation: Propagation[mount.propagation ?? 'private'],
  };
}

function depth(path: string): number {
  return path.split('/').length;
}

function encode(entry: Entry): FieldWriter {
  return new FieldWriter()
    .number(Tag.mountKind, entry.kind)
    .text(Tag.source, entry.source)
    .text(Tag.target, entry.target)
    .text(Tag.fsType, entry.type)
    .text(Tag.data, entry.data)
    .number(Tag.mountFlags, entry.flags)
    .number(Tag.propagation, entry.propagation);
}

/** Files of the kernel that a container may not read, as containerd masks them. */
export const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

/** And those it may not write. */
export const READ_ONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
