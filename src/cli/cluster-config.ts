/** What `up` settles on for a cluster, kept in `<data>/cluster.json` so that a restart changes nothing. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterPaths } from './paths.js';
import { portIsFree } from './preflight.js';
import type { ServerOptions } from './server-options.js';

export interface ClusterConfig {
  apiPort: number;
  hubPort: number;
  /** Pods' addresses: a /16. */
  clusterCidr: string;
  /** Services' addresses: a /16. */
  serviceCidr: string;
  /** Addresses of nodes that have network namespaces of their own: a /24, whose first is this machine's. */
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
  /** Of a node with a network namespace of its own; absent: it lives in that of this machine. */
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

/** Chooses free ports and address ranges. The default cluster's port is fixed, so that its address is known. */
export async function chooseClusterConfig(paths: ClusterPaths, apiPort?: number): Promise<ClusterConfig> {
  const slot = freeSlot();
  const port =
    apiPort ?? (paths.name === 'default' ? DEFAULT_API_PORT : await freePortPair(DEFAULT_API_PORT + 10));
  return {
    apiPort: port,
    hubPort: port + 1,
    clusterCidr: `10.${FIRST_POD_NET - slot}.0.0/16`,
    serviceCidr: `10.${FIRST_SERVICE_NET + slot}.0.0/16`,
    nodeCidr: freeNodeCidr(),
    nodes: [],
  };
}

/** Also for others who choose ranges: in the run folder. */
export function writeClusterConfig(paths: ClusterPaths, config: ClusterConfig): void {
  for (const folder of [paths.data, paths.run]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(paths.config, `${JSON.stringify(config, null, 2)}\n`);
  writeFileSync(join(paths.run, 'cluster.json'), JSON.stringify(config));
}

/** Two that are free, and that no cluster is about to take. */
async function freePortPair(from: number): Promise<number> {
  const taken = new Set(runningClusters().flatMap(({ apiPort, hubPort }) => [apiPort, hubPort]));
  const isFree = async (port: number) => !taken.has(port) && (await portIsFree('0.0.0.0', port));
  for (let port = from; ; port += 10) if ((await isFree(port)) && (await isFree(port + 1))) return port;
}

/** The first slot whose pod range no route of this host and no running cluster uses. */
function freeSlot(): number {
  const running = runningClusters().map(({ clusterCidr }) => Number(clusterCidr.split('.')[1]));
  const used = new Set<number>([...routes().map(({ network }) => secondByte(network)), ...running]);
  let slot = 0;
  while (used.has(FIRST_POD_NET - slot)) slot++;
  return slot;
}

/** The first /24 that no route of this host overlaps, and that no running cluster has. */
function freeNodeCidr(): string {
  const taken = routes().filter(({ mask }) => mask !== 0);
  const running = new Set(runningClusters().map(({ nodeCidr }) => nodeCidr));
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
