/** Memory and CPU of the cluster's processes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchCluster } from '../cluster.js';
import { quantile, type Result } from '../report.js';

export interface Process {
  pid: number;
  command: string;
  /** MB. */
  resident: number;
  /** Seconds of CPU since its start. */
  cpu: number;
}

const TICKS = 100;

function processOfPid(pid: string): Process | undefined {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const [, user, system] = /\) (?:\S+ ){11}(\d+) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))!;
    const cpu = (Number(user) + Number(system)) / TICKS;
    return { pid: Number(pid), command, resident: Number(rss ?? 0) / 1024, cpu };
  } catch {
    return undefined;
  }
}

const processes = (): Process[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => processOfPid(pid) ?? []);

/** Its `server`, or its first node's `agent`. */
export function processOf({ runDir }: BenchCluster, which: 'server' | 'agent'): Process {
  const nodes = join(runDir, 'nodes');
  const folder = which === 'server' ? runDir : join(nodes, readdirSync(nodes).sort()[0]!);
  const found = processOfPid(readFileSync(join(folder, `${which}.pid`), 'utf8').split(' ')[0]!);
  if (!found) throw new Error(`No ${which} runs in ${folder}.`);
  return found;
}

export const shimsOf = ({ runDir }: BenchCluster): Process[] =>
  processes().filter(({ command }) => command.includes('keelson-shim') && command.includes(`${runDir}/`));

/** Of server and agent. */
export function memoryRows(cluster: BenchCluster, when: string): Result[] {
  const targets = { server: 150, agent: 90 };
  return (['server', 'agent'] as const).map((which) => ({
    name: `${which} memory, ${when}`,
    value: processOf(cluster, which).resident,
    unit: 'MB',
    ...(when === 'idle' ? { target: targets[which] } : {}),
  }));
}

/** The median shim. */
export function shimMemory(cluster: BenchCluster): Result {
  const resident = shimsOf(cluster).map((shim) => shim.resident);
  return {
    name: `shim memory, ${resident.length} pods`,
    value: quantile(resident, 0.5),
    unit: 'MB',
    target: 1.5,
  };
}
