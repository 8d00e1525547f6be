/** What a node says of its machine: capacity, addresses, versions. */
import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { arch, cpus, networkInterfaces, release, totalmem } from 'node:os';
import type { NodeSystemInfo } from '#types';
import { familyOf } from '../../api/machinery/prefix.js';
import { formatQuantity, quantityMilli, quantityValue } from '../../api/machinery/quantity.js';
import { amount, type Signal } from './eviction/thresholds.js';
import type { NodeSettings } from './settings.js';

export const KUBELET_VERSION = 'v1.36.0';
const RUNTIME_VERSION = 'keelson://0.1.0';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
};

/** `amd64`, `arm64`, as Go names them. */
export const goArch = (): string => ({ x64: 'amd64', ia32: '386' })[arch() as 'x64'] ?? arch();

export interface Capacity {
  capacity: Record<string, string>;
  allocatable: Record<string, string>;
  /** With what evictions keep free: cpu and memory that a pod could have at all. */
  whole: Record<string, string>;
  /** Bytes. */
  memory: number;
}

/** Allocatable: less what is reserved, and what hard evictions keep free. */
export function capacity(dataDir: string, { reserved, eviction, maxPods }: NodeSettings): Capacity {
  const cpu = cpus().length;
  const memory = totalmem();
  const disk = statfsSync(dataDir);
  const bytes = disk.blocks * disk.bsize;
  const kept = (name: string, value: typeof quantityValue) =>
    reserved.reduce((sum, list) => sum + value(list[name]), 0);
  const threshold = (signal: Signal, whole: number) => {
    const hard = eviction.thresholds.find((t) => t.signal === signal && t.graceMs === 0);
    return hard ? amount(hard.value, whole) : 0;
  };
  const left = (whole: number, name: string, signal: Signal) =>
    Math.max(0, whole - kept(name, quantityValue) - threshold(signal, whole));
  const fixed = { ...hugePages(), pods: String(maxPods) };
  const cpuLeft = cpuQuantity(Math.max(0, cpu * 1000 - kept('cpu', quantityMilli)));
  return {
    memory,
    whole: { cpu: cpuLeft, memory: String(memory - kept('memory', quantityValue)) },
    capacity: {
      cpu: String(cpu),
      'ephemeral-storage': `${Math.floor(bytes / 1024)}Ki`,
      memory: `${Math.floor(memory / 1024)}Ki`,
      ...fixed,
    },
    allocatable: {
      cpu: cpuLeft,
      'ephemeral-storage': String(left(bytes, 'ephemeral-storage', 'nodefs.available')),
      memory: `${Math.floor(left(memory, 'memory', 'memory.available') / 1024)}Ki`,
      ...fixed,
    },
  };
}

/** And the devices that plugins offer. */
export const withDevices = (
  machine: Capacity,
  devices: Pick<Capacity, 'capacity' | 'allocatable'>,
): Capacity => ({
  ...machine,
  capacity: { ...machine.capacity, ...devices.capacity },
  allocatable: { ...machine.allocatable, ...devices.allocatable },
});

const cpuQuantity = (milli: number): string => (milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`);

/** What the kernel has set aside, by size. */
function hugePages(): Record<string, string> {
  const folder = '/sys/kernel/mm/hugepages';
  const sizes = existsSync(folder) ? readdirSync(folder) : [];
  return Object.fromEntries(
    sizes.sort().map((name) => {
      const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
      const total = kilobytes * Number(read(`${folder}/${name}/nr_hugepages`) || 0);
      return [`hugepages-${binary(kilobytes)}`, total === 0 ? '0' : binary(total)];
    }),
  );
}

const binary = (kilobytes: number): string =>
  formatQuantity({ nano: BigInt(kilobytes) * 1024n * 1_000_000_000n, format: 'BinarySI' });

export function systemInfo(): NodeSystemInfo {
  const osRelease = read('/etc/os-release');
  const pretty = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1];
  return {
    machineID: read('/etc/machine-id'),
    systemUUID: read('/sys/class/dmi/id/product_uuid') || read('/etc/machine-id'),
    bootID: read('/proc/sys/kernel/random/boot_id'),
    kernelVersion: release(),
    osImage: pretty ?? 'Linux',
    containerRuntimeVersion: RUNTIME_VERSION,
    kubeletVersion: KUBELET_VERSION,
    kubeProxyVersion: '',
    operatingSystem: 'linux',
    architecture: goArch(),
  };
}

/**
 * The addresses that other machines know this one by, one of each IP family: of the default route's link, else the first;
 * loopback if there is none.
 */
export function ownAddresses(routes = read('/proc/net/route'), interfaces = networkInterfaces()): string[] {
  const way = routes.split('\n').map((line) => line.split(/\s+/));
  const name = way.find(
    ([, destination, , , , , , mask]) => destination === '00000000' && mask === '00000000',
  )?.[0];
  // Bridges of pods come and go, with addresses that no other machine knows.
  const others = Object.keys(interfaces).filter(
    (other) => other !== name && !/^kl|^docker|^br-|^cni/.test(other),
  );
  const all = [name ?? '', ...others].flatMap((one) => interfaces[one] ?? []);
  const ipv4 = all.find((a) => a.family === 'IPv4' && !a.internal)?.address;
  // Others have a scope: they mean something on one link only.
  const ipv6 = all.find((a) => a.family === 'IPv6' && !a.internal && a.scopeid === 0)?.address;
  return ipv4 || ipv6 ? [ipv4, ipv6].flatMap((ip) => ip ?? []) : ['127.0.0.1'];
}

/** Of a node's addresses those of the cluster's IP families, in their order; if there are none of them, what there is. */
export function addressesOf(ips: string[], clusterCidr: string): string[] {
  const wanted = clusterCidr
    .split(',')
    .flatMap((cidr) => ips.find((ip) => familyOf(ip) === familyOf(cidr)) ?? []);
  return wanted.length > 0 ? wanted : ips;
}
