/** What the whole machine has used: CPU time and memory, as upstream's kubelet reads them of the root cgroup. */
import { readFileSync } from 'node:fs';
import type { Sample } from '../../rpc/stats.js';

/** `USER_HZ`: the unit of /proc/stat, the same on every Linux architecture that Node runs on. */
const NANOS_A_TICK = 1e9 / 100;

/** Nanoseconds of CPU that were not idle, from the text of /proc/stat. */
export function cpuNanosOf(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0] = (stat.split('\n', 1)[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softIrq) * NANOS_A_TICK;
}

/** Bytes in use less the page cache that can go at once, from the text of /proc/meminfo. */
export function workingSetOf(meminfo: string): number {
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name.replace(/[()]/g, '\\$&')}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? 0);
  return Math.max(0, kilobytes('MemTotal') - kilobytes('MemFree') - kilobytes('Inactive(file)')) * 1024;
}

export function sampleMachine(now: number): Sample {
  return {
    time: now,
    cpuNanos: cpuNanosOf(readFileSync('/proc/stat', 'utf8')),
    workingSetBytes: workingSetOf(readFileSync('/proc/meminfo', 'utf8')),
  };
}
