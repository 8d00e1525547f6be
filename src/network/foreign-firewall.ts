/**
 * Other firewalls on the machine: where one drops what is forwarded (Docker sets such a policy), an accept in our
 * own table does not count, so two rules go into theirs, marked with the cluster's name.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { bridgeName, tableName } from './names.js';

const run = promisify(execFile);

/** The commands that speak for the tables that there are: the kernel may have both kinds. */
async function dropping(): Promise<string[]> {
  const [modern, legacy] = await Promise.all([
    run('nft', ['list', 'chain', 'ip', 'filter', 'FORWARD']).then(
      ({ stdout }) => stdout.includes('policy drop'),
      () => false,
    ),
    readFile('/proc/net/ip_tables_names', 'utf8').then(
      (names) => names.split('\n').includes('filter'),
      () => false,
    ),
  ]);
  return [...(modern ? ['iptables-nft'] : []), ...(legacy ? ['iptables-legacy'] : [])];
}

const rules = (cluster: string, bridge: string) =>
  ['-i', '-o'].map((direction) => [
    ...['FORWARD', direction, bridge],
    ...['-m', 'comment', '--comment', tableName(cluster), '-j', 'ACCEPT'],
  ]);

const holds = (command: string, rule: string[]) =>
  run(command, ['-w', '-C', ...rule]).then(
    () => true,
    () => false,
  );

/** Idempotent. */
export async function openForeignFirewall(cluster: string, bridge = bridgeName(cluster)): Promise<void> {
  for (const command of await dropping())
    for (const rule of rules(cluster, bridge))
      if (!(await holds(command, rule))) await run(command, ['-w', '-I', ...rule]);
}

export async function closeForeignFirewall(cluster: string, bridge = bridgeName(cluster)): Promise<void> {
  for (const command of await dropping())
    for (const rule of rules(cluster, bridge))
      if (await holds(command, rule)) await run(command, ['-w', '-D', ...rule]);
}
