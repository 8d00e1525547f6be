/**
 * Other firewalls on the machine: where one drops what is forwarded (Docker sets such a policy), an accept in our
 * own table does not count, so rules go into theirs, marked with the cluster's name.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { familyOf, type IpFamily } from '../api/machinery/prefix.js';

const run = promisify(execFile);

/** Their tables, and the command that speaks for them. */
const KINDS = {
  IPv4: { nft: 'ip', legacy: '/proc/net/ip_tables_names', command: 'iptables' },
  IPv6: { nft: 'ip6', legacy: '/proc/net/ip6_tables_names', command: 'ip6tables' },
} as const;

/** The commands that speak for the tables that there are: the kernel may have both kinds. */
async function dropping(family: IpFamily): Promise<string[]> {
  const { nft, legacy, command } = KINDS[family];
  const [isModern, isLegacy] = await Promise.all([
    run('nft', ['list', 'chain', nft, 'filter', 'FORWARD']).then(
      ({ stdout }) => stdout.includes('policy drop'),
      () => false,
    ),
    readFile(legacy, 'utf8').then(
      (names) => names.split('\n').includes('filter'),
      () => false,
    ),
  ]);
  return [...(isModern ? [`${command}-nft`] : []), ...(isLegacy ? [`${command}-legacy`] : [])];
}

export interface Passing {
  /** Marks the rules. */
  name: string;
  /** The bridge whose packets pass, both ways. */
  bridge: string;
  /** Ranges whose packets pass by other links too: those of pods of other nodes, that a node port here leads to. */
  cidrs?: string[];
}

const rules = ({ name, bridge, cidrs = [] }: Passing, family: IpFamily): string[][] =>
  [
    ['-i', bridge],
    ['-o', bridge],
    ...cidrs.flatMap((cidr) => (familyOf(cidr) === family ? both(cidr) : [])),
  ].map((match) => ['FORWARD', ...match, '-m', 'comment', '--comment', name, '-j', 'ACCEPT']);

const both = (cidr: string) => [
  ['-s', cidr],
  ['-d', cidr],
];

const holds = (command: string, rule: string[]) =>
  run(command, ['-w', '-C', ...rule]).then(
    () => true,
    () => false,
  );

/** Idempotent. Does what it can. @throws Error of the first that failed. */
export async function openForeignFirewall(passing: Passing, families: IpFamily[]): Promise<void> {
  await forEach(families, async (command, family) => {
    for (const rule of rules(passing, family))
      if (!(await holds(command, rule))) await run(command, ['-w', '-I', ...rule]);
  });
}

/** Removes the rules that are marked with `name`, whatever they say. */
export async function closeForeignFirewall(name: string): Promise<void> {
  await forEach(['IPv4', 'IPv6'], async (command) => {
    const { stdout } = await run(command, ['-w', '-S', 'FORWARD']);
    for (const line of stdout.split('\n')) {
      const [, ...rule] = line.split(' ');
      if (rule[rule.indexOf('--comment') + 1] === name) await run(command, ['-w', '-D', ...rule]);
    }
  });
}

/** One that fails does not keep the others from being done. */
async function forEach(
  families: IpFamily[],
  change: (command: string, family: IpFamily) => Promise<void>,
): Promise<void> {
  const found = await Promise.all(
    families.map(async (family) => (await dropping(family)).map((command) => change(command, family))),
  );
  const done = await Promise.allSettled(found.flat());
  for (const one of done) if (one.status === 'rejected') throw one.reason;
}
