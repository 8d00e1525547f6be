/** What the machine has left of what pods can run it out of. */
import { readFileSync, statfsSync } from 'node:fs';
import { workingSetOf } from '../usage.js';
import type { Observations } from './thresholds.js';

const read = (path: string) => readFileSync(path, 'utf8');

/** `dataDir`: on the file system with pods and images, which are one here. Memory as upstream counts it: less the working set. */
export function observe(dataDir: string): Observations {
  const { bavail, bsize, blocks, ffree, files } = statfsSync(dataDir);
  const meminfo = read('/proc/meminfo');
  const memory = Number(/^MemTotal:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? 0) * 1024;
  const tasks = Number(/\/(\d+)/.exec(read('/proc/loadavg'))?.[1]);
  const most = Math.min(...['pid_max', 'threads-max'].map((f) => Number(read(`/proc/sys/kernel/${f}`))));
  const disk = { available: bavail * bsize, capacity: blocks * bsize };
  // A file system that makes inodes as it needs them has none to count.
  const inodes = files > 0 ? { available: ffree, capacity: files } : undefined;
  return {
    'memory.available': { available: memory - workingSetOf(meminfo), capacity: memory },
    'nodefs.available': disk,
    'imagefs.available': disk,
    ...(inodes ? { 'nodefs.inodesFree': inodes, 'imagefs.inodesFree': inodes } : {}),
    'pid.available': { available: most - tasks, capacity: most },
  };
}
