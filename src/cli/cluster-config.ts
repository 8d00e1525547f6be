/** What `up` settles on for a cluster, kept in `<data>/cluster.json` so that a restart changes nothing. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { familyOf, type IpFamily } from '../api/machinery/prefix.js';
import { CliError } from './error.js';
import { type ClusterPaths, dataDirFile } from './paths.js';
import { portIsFree } from './preflight.js';
import type { ServerOptions } from './server-options.js';

export interface ClusterConfig {
  apiPort: number;
  hubPort: number;
  /** Pods' addresses: a /16, a /56 of IPv6; of two IP families with a comma, the first family first. */
  clusterCidr: string;
  /** Services' addresses: a /16, a /112 of IPv6. */
  serviceCidr: string;
  /**
   * Addresses of nodes that have network namespaces of their own, whose first is this machine's: a /24, by which the
   * nodes find the control plane, and then a /64 of IPv6 if pods have that.
   */
  nodeCidr: string;
  /** Addresses for Services of type LoadBalancer; the nodes' own when absent. */
  loadBalancerPool?: string;
  /** Where nodes serve Ingresses, if told; 0: not. */
  ingress?: { httpPort?: number; httpsPort?: number; metricsPort?: number; accessLog?: boolean };
  /** Seconds of silence after which a node counts as gone; 40 when absent. */
  nodeGraceSeconds?: number;
  /** Options of the control plane that were given. */
  server?: ServerOptions;
  /** The nodes that this machine runs. */
  nodes: NodeEntry[];
}

export interface NodeEntry {
  name: string;
  /** Of a node with a network namespace of its own, one of each range with a comma; absent: it lives in that of this machine. */
  address?: string;
}

const DEFAULT_API_PORT = 6443;
/** The first /16 of each kind; clusters side by side take the ones after it. */
const FIRST_POD_NET = 244;
const FIRST_SERVICE_NET = 96;
/** 10.180.0.0/24, and those after it. */
const NODE_NET = 180;

export function readClusterConfig(paths: ClusterPaths): ClusterConfig | undefined {
  if (!existsSync(paths.config)) return undefined;
  const config = JSON.parse(readFileSync(paths.config, 'utf8'));
  return { ...config, nodeCidr: config.nodeCidr ?? freeNodeCidr(), nodes: config.nodes ?? [] };
}

/**
 * Chooses free ports and address ranges, of IP families whose first is the cluster's default. The default cluster's port
 * is fixed, so that its address is known.
 */
export async function chooseClusterConfig(
  paths: ClusterPaths,
  apiPort?: number,
  families: IpFamily[] = ['IPv4'],
): Promise<ClusterConfig> {
  const slot = freeSlot();
  const port =
    apiPort ?? (paths.name === 'default' ? DEFAULT_API_PORT : await freePortPair(DEFAULT_API_PORT + 10));
  return {
    apiPort: port,
    hubPort: port + 1,
    clusterCidr: ranges(families, `10.${FIRST_POD_NET - slot}.0.0/16`, 56),
    serviceCidr: ranges(families, `10.${FIRST_SERVICE_NET + slot}.0.0/16`, 112),
    nodeCidr: ranges(families.includes('IPv6') ? ['IPv4', 'IPv6'] : ['IPv4'], freeNodeCidr(), 64),
    nodes: [],
  };
}

/** Of `ipv4,ipv6`, in any case. @throws CliError */
export function parseFamilies(text: string): IpFamily[] {
  const names: Record<string, IpFamily> = { ipv4: 'IPv4', ipv6: 'IPv6' };
  const families = text.split(',').map((name) => names[name.trim().toLowerCase()]);
  if (families.includes(undefined) || new Set(families).size < families.length)
    throw new CliError('--ip-families takes ipv4, ipv6, or both with a comma between them.', 2);
  return families as IpFamily[];
}

export const familiesOf = ({ clusterCidr }: ClusterConfig): IpFamily[] =>
  clusterCidr.split(',').map(familyOf);

/** The IPv4 range, and that of unique local addresses (RFC 4193) that goes with it: `fd00:10:244::/56` with `10.244.0.0/16`. */
function ranges(families: IpFamily[], ipv4: string, ipv6Bits: number): string {
  const numbers = ipv4.replace(/(\.0)+\/.*/, '').replaceAll('.', ':');
  const ipv6 = `fd00:${numbers}::/${ipv6Bits}`;
  return families.map((family) => (family === 'IPv4' ? ipv4 : ipv6)).join();
}

/** The numbers that tell clusters' ranges apart: `10.244` of `fd00:10:244::/56` too. */
const ipv4Form = (cidr: string): string => cidr.replace(/^fd00:/, '').replaceAll(':', '.');

/** Also for others who choose ranges: in the run folder. */
export function writeClusterConfig(paths: ClusterPaths, config: ClusterConfig): void {
  for (const folder of [paths.data, paths.run]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(paths.config, `${JSON.stringify(config, null, 2)}\n`);
  writeFileSync(join(paths.run, 'cluster.json'), JSON.stringify(config));
  writeFileSync(dataDirFile(paths.run), paths.data);
}

/** Two that are free, and that no cluster is about to take. */
async function freePortPair(from: number): Promise<number> {
  const taken = new Set(runningClusters().flatMap(({ apiPort, hubPort }) => [apiPort, hubPort]));
  const isFree = async (port: number) => !taken.has(port) && (await portIsFree('0.0.0.0', port));
  for (let port = from; ; port += 10) if ((await isFree(port)) && (await isFree(port + 1))) return port;
}

/** The first slot whose pod range no route of this host and no running cluster uses. */
function freeSlot(): number {
  const running = runningClusters().map(({ clusterCidr }) => Number(ipv4Form(clusterCidr).split('.')[1]));
  const used = new Set<number>([...routes().map(({ network }) => secondByte(network)), ...running]);
  let slot = 0;
  while (used.has(FIRST_POD_NET - slot)) slot++;
  return slot;
}

/** The first /24 that no route of this host overlaps, and that no running cluster has. */
function freeNodeCidr(): string {
  const taken = routes().filter(({ mask }) => mask !== 0);
  const running = new Set(runningClusters().map(({ nodeCidr }) => nodeCidr.split(',')[0]));
  for (let i = 0; ; i++) {
    const cidr = `10.${NODE_NET + (i >> 8)}.${i & 255}.0/24`;
    const base = ((10 << 24) | ((NODE_NET + (i >> 8)) << 16) | ((i & 255) << 8)) >>> 0;
    const overlaps = ({ network, mask }: Route) => {
      const common = (mask & 0xffffff00) >>> 0;
      return (network & common) >>> 0 === (base & common) >>> 0;
    };
    if (!running.has(cidr) && !taken.some(overlaps)) return cidr;
  }
}

interface Route {
  network: number;
  mask: number;
}

const secondByte = (network: number): number => (network >>> 24 === 10 ? (network >>> 16) & 255 : -1);

/** The main routing table's IPv4 routes. */
function routes(): Route[] {
  const number = (hex = '') => Buffer.from(hex, 'hex').readUInt32LE();
  return readFileSync('/proc/net/route', 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .map((fields) => ({ network: number(fields[1]), mask: number(fields[7]) }));
}

function runningClusters(): ClusterConfig[] {
  if (!existsSync('/run/keelson')) return [];
  return readdirSync('/run/keelson')
    .map((name) => join('/run/keelson', name, 'cluster.json'))
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')));
}
