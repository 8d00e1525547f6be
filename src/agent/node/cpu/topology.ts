/** Which CPUs of the machine belong together, and which to take so that few containers share a core. */
import { readFileSync } from 'node:fs';
import { parseCpus } from './cpu-set.js';

const FOLDER = '/sys/devices/system/cpu';

export interface Cpu {
  id: number;
  /** By socket and core: threads of one core have the same. */
  core: string;
  socket: string;
}

/** Those that are online. */
export function readTopology(folder = FOLDER): Cpu[] {
  const read = (path: string) => {
    try {
      return readFileSync(`${folder}/${path}`, 'utf8').trim();
    } catch {
      return '';
    }
  };
  return parseCpus(read('online')).map((id) => {
    const socket = read(`cpu${id}/topology/physical_package_id`) || '0';
    return { id, socket, core: `${socket} ${read(`cpu${id}/topology/core_id`) || id}` };
  });
}

/** So many of the free CPUs: whole sockets first, then whole cores, then what is left. `free` has enough. */
export function takeCpus(topology: Cpu[], free: ReadonlySet<number>, count: number): number[] {
  const taken: number[] = [];
  const left = () => topology.filter(({ id }) => free.has(id) && !taken.includes(id));
  for (const kind of ['socket', 'core', 'id'] as const) {
    for (const name of new Set(left().map((cpu) => cpu[kind]))) {
      const cpus = left().filter((cpu) => cpu[kind] === name);
      const isWhole = cpus.length === topology.filter((cpu) => cpu[kind] === name).length;
      if (isWhole && cpus.length <= count - taken.length) taken.push(...cpus.map(({ id }) => id));
    }
  }
  return taken.sort((a, b) => a - b);
}
