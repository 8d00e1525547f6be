/** Keelson as the services of docs/install.md, in the machine that test/vm/systemd.sh boots. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '#types';
import { eventually, MAIN } from '../../fixtures/cluster.js';
import { kubectl as bind, run } from '../../fixtures/tools.js';

export const UNITS = '/etc/systemd/system';
/** Where pods write what outlives the machine's restart. */
export const PROOF = '/var/lib/proof';
export const kubectl = bind('/var/lib/keelson/default/admin.kubeconfig');

/** @throws Error with what it printed when a command fails. */
export async function command(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(argv[0]!, argv.slice(1));
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${stderr}${stdout}`);
  return stdout.trim();
}

export const systemctl = (...argv: string[]) => command('systemctl', ...argv);
export const keelson = (...argv: string[]) => command(process.execPath, MAIN, ...argv);

/** The files that install.md shows whole: their text by their path. */
export function shownFiles(): Map<string, string> {
  const text = readFileSync('docs/install.md', 'utf8');
  return new Map([...text.matchAll(/^`(\/\S+)`[^\n]*:\n\n```ini\n(.*?)```/gms)].map((m) => [m[1]!, m[2]!]));
}

/** Writes the agent's unit as shown, but with these arguments. */
export function writeAgent(argv: string): void {
  const path = join(UNITS, 'keelson-agent.service');
  writeFileSync(
    path,
    shownFiles()
      .get(path)!
      .replace(/--server .*/, argv),
  );
}

export const mainPid = (unit: string) => systemctl('show', '--property=MainPID', '--value', unit);

export async function apply(...items: object[]): Promise<void> {
  const stdin = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const { code, stderr } = await kubectl.try(['apply', '-f', '-'], { stdin });
  if (code !== 0) throw new Error(stderr);
}

export const getPod = async (name: string): Promise<Pod> =>
  JSON.parse(await kubectl('get', 'pod', name, '-o', 'json'));

export const nodeIsReady = () =>
  eventually(
    'the node to be ready',
    async () =>
      /"status":"True"/.test(
        await kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].status.conditions[?(@.type=="Ready")]}'),
      ),
    120_000,
  );

/** What tells one run of a container from the next. */
export async function runOf(name: string) {
  const { containerID, restartCount } = (await getPod(name)).status!.containerStatuses![0]!;
  return { containerID, restartCount };
}

/** The commands of all processes whose cgroup is `path` or below it, by cgroup. */
export function processesIn(path: string): { cgroup: string; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const cgroup = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))![1]!;
        const own = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
        return `${cgroup}/`.startsWith(`${path}/`) ? [{ cgroup, command: own }] : [];
      } catch {
        return [];
      }
    });
}
