/** Figures of the machine that the kernel gives as text: interfaces, file systems, processes. */
import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';

export interface InterfaceStats {
  name: string;
  rxBytes: number;
  rxPackets: number;
  rxErrors: number;
  rxDropped: number;
  txBytes: number;
  txPackets: number;
  txErrors: number;
  txDropped: number;
}

/** From the text of /proc/<pid>/net/dev; the loopback is left out. */
export function interfacesOf(text: string): InterfaceStats[] {
  return text
    .split('\n')
    .slice(2)
    .flatMap((line) => {
      const [name, values] = line.split(':').map((part) => part.trim());
      if (!name || name === 'lo' || !values) return [];
      const n = values.split(/\s+/).map(Number);
      return [
        {
          ...{ name, rxBytes: n[0]!, rxPackets: n[1]!, rxErrors: n[2]!, rxDropped: n[3]! },
          ...{ txBytes: n[8]!, txPackets: n[9]!, txErrors: n[10]!, txDropped: n[11]! },
        },
      ];
    });
}

/** Of the network that a process is in; none when it is gone. */
export function interfacesAt(pid: number | 'self'): InterfaceStats[] {
  try {
    return interfacesOf(readFileSync(`/proc/${pid}/net/dev`, 'utf8'));
  } catch {
    return [];
  }
}

/** Upstream takes the interface of the default route; `eth0` in pods. */
export function defaultInterface(interfaces: InterfaceStats[], pid: number | 'self'): string | undefined {
  let routes = '';
  try {
    routes = readFileSync(`/proc/${pid}/net/route`, 'utf8');
  } catch {
    // The process is gone.
  }
  const name = routes
    .split('\n')
    .map((line) => line.split('\t'))
    .find(([, destination]) => destination === '00000000')?.[0];
  return name ?? interfaces[0]?.name;
}

export interface FileSystemStats {
  availableBytes: number;
  capacityBytes: number;
  usedBytes: number;
  inodesFree: number;
  inodes: number;
  inodesUsed: number;
}

/** Of the file system that a path is on; undefined when it is not there. */
export async function fileSystem(path: string): Promise<FileSystemStats | undefined> {
  const found = await statfs(path).catch(() => undefined);
  return (
    found && {
      availableBytes: found.bavail * found.bsize,
      capacityBytes: found.blocks * found.bsize,
      usedBytes: (found.blocks - found.bfree) * found.bsize,
      inodesFree: found.ffree,
      inodes: found.files,
      inodesUsed: found.files - found.ffree,
    }
  );
}

/** Most process ids that the machine gives, and how many are in use. */
export function processIds(): { maxpid: number; curproc: number } {
  const max = Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8'));
  const running = /^\S+ \S+ \S+ \d+\/(\d+)/.exec(readFileSync('/proc/loadavg', 'utf8'))?.[1];
  return { maxpid: max, curproc: Number(running ?? 0) };
}

/** When the machine was started, in ms. */
export function bootTime(): number {
  return Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? 0) * 1000;
}

/** Bytes of a line of /proc/meminfo. */
export function memoryInfo(): (name: string) => number {
  const text = readFileSync('/proc/meminfo', 'utf8');
  return (name) =>
    Number(new RegExp(`^${name.replace(/[()]/g, '\\$&')}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) * 1024;
}
