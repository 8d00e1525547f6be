/** What must hold before a cluster is made: each check that fails says what to do, in one sentence. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { CliError } from './error.js';

const CONTROLLERS = ['cpu', 'memory', 'pids'];
const NAMESPACES = ['mnt', 'net', 'pid', 'ipc', 'uts'];
const MIN_FREE_BYTES = 256 << 20;

export function requireRoot(command: string): void {
  if (process.getuid?.() !== 0)
    throw new CliError(`"keelson ${command}" needs root: run it with sudo, or as root.`);
}

/** @throws CliError naming what this kernel lacks. */
export function requireKernel(): void {
  if (process.platform !== 'linux') throw new CliError('Keelson runs on Linux only.');
  for (const namespace of NAMESPACES)
    if (!existsSync(`/proc/self/ns/${namespace}`))
      throw new CliError(
        `This kernel has no ${namespace} namespaces (/proc/self/ns/${namespace} is missing).`,
      );
  if (!readFileSync('/proc/filesystems', 'utf8').includes('\toverlay\n') && !loadModule('overlay'))
    throw new CliError('This kernel has no overlayfs: load it with "modprobe overlay".');
  const missing = CONTROLLERS.filter((controller) => !mountedControllers().has(controller));
  if (missing.length > 0)
    throw new CliError(
      `The cgroup controller${missing.length > 1 ? 's' : ''} ${missing.join(', ')} can't be used: mount cgroup v2 at /sys/fs/cgroup, or each v1 controller below it.`,
    );
  if (spawnSync('nft', ['--version']).status !== 0)
    throw new CliError('The nft command is missing: install it with "apt-get install nftables".');
}

/** @throws CliError where pods can't have IPv6 addresses. */
export function requireIpv6(): void {
  const file = '/proc/sys/net/ipv6/conf/all/disable_ipv6';
  if (!existsSync(file))
    throw new CliError(
      'This kernel has no IPv6 (/proc/sys/net/ipv6 is missing): leave ipv6 out of --ip-families.',
    );
  if (readFileSync(file, 'utf8').trim() !== '0')
    throw new CliError(
      'IPv6 is off on this machine: turn it on with "sysctl net.ipv6.conf.all.disable_ipv6=0".',
    );
}

const loadModule = (name: string): boolean => spawnSync('modprobe', [name]).status === 0;

/** The controllers that are mounted: v1 by their own mounts, v2 by the root's `cgroup.controllers`. */
function mountedControllers(): Set<string> {
  const found = new Set<string>();
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, path, type, options] = line.split(' ');
    if (type === 'cgroup') for (const option of options!.split(',')) found.add(option);
    if (type === 'cgroup2' && existsSync(`${path}/cgroup.controllers`))
      for (const name of readFileSync(`${path}/cgroup.controllers`, 'utf8').trim().split(' '))
        found.add(name);
  }
  return found;
}

/** @throws CliError when the file system that will hold `path` is nearly full. */
export function requireDisk(path: string): void {
  let existing = path;
  while (!existsSync(existing)) existing = dirname(existing);
  if (!statSync(existing).isDirectory())
    throw new CliError(`${existing} is not a folder: choose another with --data-dir.`);
  const { bavail, bsize } = statfsSync(existing);
  if (bavail * bsize < MIN_FREE_BYTES)
    throw new CliError(
      `The disk is full: ${existing} has ${Math.floor((bavail * bsize) >> 20)} MiB left, and a cluster needs at least ${MIN_FREE_BYTES >> 20}.`,
    );
}

/** Whether a TCP port can be listened on. Rejects with CliError for an address that this machine does not have. */
export function portIsFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND' ? reject(notOurs(host)) : resolve(false),
    );
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

const notOurs = (host: string): CliError =>
  new CliError(`This machine has no address ${host}: give one that it has with --bind.`);

/** @throws CliError when something else listens there. */
export async function requirePort(host: string, port: number, option: string): Promise<void> {
  if (!(await portIsFree(host, port)))
    throw new CliError(
      `Port ${port} is taken by another program: stop it, or choose another with ${option}.`,
    );
}
