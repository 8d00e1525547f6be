/** What the machine is short of, by upstream's default eviction thresholds; a pressure stays for a while after it has gone. */
import { readFileSync, statfsSync } from 'node:fs';

/** What is there, in bytes, inodes and process ids. */
export interface Supply {
  memory: { available: number };
  /** Of the file system with pods and images. */
  disk: { available: number; capacity: number; inodesFree: number; inodes: number };
  pids: { available: number; capacity: number };
}

export type Pressure = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

const MIN_MEMORY = 100 << 20;
/** nodefs.available<10%, imagefs.available<15%: both are one file system here. */
const MIN_DISK_SHARE = 0.1;
const MIN_INODES_SHARE = 0.05;
/** Upstream has none of its own; with less than that nothing starts any more. */
const MIN_PIDS_SHARE = 0.01;
/** evictionPressureTransitionPeriod. */
const TRANSITION_MS = 5 * 60_000;

export function supply(dataDir: string): Supply {
  const { bavail, bsize, blocks, ffree, files } = statfsSync(dataDir);
  const read = (path: string) => readFileSync(path, 'utf8');
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(read('/proc/meminfo'))?.[1] ?? '0';
  const tasks = Number(/\/(\d+)/.exec(read('/proc/loadavg'))?.[1]);
  const most = Math.min(...['pid_max', 'threads-max'].map((f) => Number(read(`/proc/sys/kernel/${f}`))));
  return {
    memory: { available: Number(available) * 1024 },
    disk: { available: bavail * bsize, capacity: blocks * bsize, inodesFree: ffree, inodes: files },
    pids: { available: most - tasks, capacity: most },
  };
}

/** What there is too little of right now. */
export function shortages({ memory, disk, pids }: Supply): Pressure[] {
  const found: Pressure[] = [];
  if (memory.available < MIN_MEMORY) found.push('MemoryPressure');
  const inodes = disk.inodes > 0 && disk.inodesFree < disk.inodes * MIN_INODES_SHARE;
  if (disk.available < disk.capacity * MIN_DISK_SHARE || inodes) found.push('DiskPressure');
  if (pids.available < pids.capacity * MIN_PIDS_SHARE) found.push('PIDPressure');
  return found;
}

/** Remembers when each pressure was seen last. */
export class PressureMemory {
  readonly #seen = new Map<Pressure, number>();

  /** The pressures that the node has now, in milliseconds since the epoch. */
  update(found: Pressure[], now: number): Set<Pressure> {
    for (const pressure of found) this.#seen.set(pressure, now);
    for (const [pressure, seen] of this.#seen) if (now - seen >= TRANSITION_MS) this.#seen.delete(pressure);
    return new Set(this.#seen.keys());
  }
}
