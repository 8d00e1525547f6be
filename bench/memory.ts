/** Resident memory of the cluster's processes. */
import { readdirSync, readFileSync } from 'node:fs';
import { CLUSTER } from './cluster.js';
import { quantile, type Result } from './report.js';

interface Process {
  pid: number;
  command: string;
  /** MB. */
  resident: number;
}

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
        return [{ pid: Number(name), command, resident: Number(rss ?? 0) / 1024 }];
      } catch {
        return [];
      }
    });
}

/** Of server and agent, and of the shims when pods run. */
export function benchMemory(when: string): Result[] {
  const all = processes().filter((p) => p.command.includes(CLUSTER));
  const of = (word: string) => all.filter((p) => p.command.includes(` ${word} `)).map((p) => p.resident);
  const server = of('server')[0];
  const agent = of('agent')[0];
  const targets = when === 'idle';
  return [
    ...(server
      ? [{ name: `server memory, ${when}`, value: server, unit: 'MB', ...(targets ? { target: 150 } : {}) }]
      : []),
    ...(agent
      ? [{ name: `agent memory, ${when}`, value: agent, unit: 'MB', ...(targets ? { target: 90 } : {}) }]
      : []),
  ];
}

/** The median shim. */
export function shimMemory(): Result[] {
  const shims = processes().filter((p) => p.command.includes('keelson-shim') && p.command.includes(CLUSTER));
  if (shims.length === 0) return [];
  return [
    {
      name: 'shim memory',
      value: quantile(
        shims.map((p) => p.resident),
        0.5,
      ),
      unit: 'MB',
      target: 1.5,
    },
  ];
}
