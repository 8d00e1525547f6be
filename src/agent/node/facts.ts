/** What a node says of its machine: capacity, addresses, versions. */
import { readFileSync, statfsSync } from 'node:fs';
import { arch, cpus, networkInterfaces, release, totalmem } from 'node:os';
import type { NodeSystemInfo } from '#types';

export const KUBELET_VERSION = 'v1.36.0';
const RUNTIME_VERSION = 'keelson://0.1.0';
const MAX_PODS = 110;
/** Kept back from pods: for the agent and the system. */
const RESERVED_CPU_MILLI = 100;
const RESERVED_MEMORY = 100 << 20;
/** Upstream's hard eviction threshold of `memory.available`. */
const EVICTION_MEMORY = 100 << 20;

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
  /** Bytes. */
  memory: number;
}

export function capacity(dataDir: string): Capacity {
  const cpu = cpus().length;
  const memory = totalmem();
  const disk = statfsSync(dataDir);
  const bytes = disk.blocks * disk.bsize;
  const usable = Math.max(memory - RESERVED_MEMORY - EVICTION_MEMORY, memory / 2);
  return {
    memory,
    capacity: {
      cpu: String(cpu),
      'ephemeral-storage': `${Math.floor(bytes / 1024)}Ki`,
      'hugepages-1Gi': '0',
      'hugepages-2Mi': '0',
      memory: `${Math.floor(memory / 1024)}Ki`,
      pods: String(MAX_PODS),
    },
    allocatable: {
      cpu: `${cpu * 1000 - RESERVED_CPU_MILLI}m`,
      'ephemeral-storage': String(Math.floor(bytes * 0.9)),
      'hugepages-1Gi': '0',
      'hugepages-2Mi': '0',
      memory: `${Math.floor(usable / 1024)}Ki`,
      pods: String(MAX_PODS),
    },
  };
}

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

/** The first address that other machines may know this one by; loopback if there is none. */
export function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find((a) => a.family === 'IPv4' && !a.internal)?.address ?? '127.0.0.1';
}
