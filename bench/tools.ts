/** Programs that measure, or that are measured beside Keelson. What is not installed costs its rows, nothing else. */
import { execFile, spawn } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/** A group's rows can't be measured here; the message says what is missing. */
export class Skipped extends Error {}

const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];

export function hasTool(name: string): boolean {
  return FOLDERS.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @throws Skipped for the first that is missing; `packages`: Debian's, where the name differs. */
export function requireTools(names: string[], packages: Record<string, string> = {}): void {
  for (const name of names)
    if (!hasTool(name)) throw new Skipped(`${name} is missing: apt-get install ${packages[name] ?? name}`);
}

/** Its standard output. @throws Error with what it printed when it fails. */
export async function output(command: string, ...argv: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, argv, { maxBuffer: 64 << 20, timeout: 300_000 });
  return stdout;
}

export interface Running {
  pid: number;
  stop(): Promise<void>;
}

/** A program that runs until it is stopped, or until this process ends. */
export function background(command: string, ...argv: string[]): Running {
  // The kernel ends it if we are killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...argv], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.on('error', () => undefined);
  return {
    pid: child.pid!,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** A process of the pod, found by its cgroup: whose network others can be run in. */
export function podProcess(uid: string): number {
  const names = [uid, uid.replaceAll('-', '_')];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      if (names.some((name) => groups.includes(name))) return Number(pid);
    } catch {
      // It has ended meanwhile.
    }
  throw new Error(`No process of pod ${uid} runs here.`);
}

/** The command line that runs a program of this machine in the network of a process. */
export const inNetworkOf = (pid: number): [string, string] => ['nsenter', `--net=/proc/${pid}/ns/net`];
