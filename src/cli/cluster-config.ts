/** What `up` settles on for a cluster, kept in `<data>/cluster.json` so that a restart changes nothing. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterPaths } from './paths.js';
import { portIsFree } from './preflight.js';

export interface ClusterConfig {
  apiPort: number;
  hubPort: number;
  /** Pods' addresses: a /16. */
  clusterCidr: string;
  /** Services' addresses: a /16. */
  serviceCidr: string;
}

const DEFAULT_API_PORT = 6443;
/** The first /16 of each kind; clusters side by side take the ones after it. */
const FIRST_POD_NET = 244;
const FIRST_SERVICE_NET = 96;

export function readClusterConfig(paths: ClusterPaths): ClusterConfig | undefined {
  if (!existsSync(paths.config)) return undefined;
  return JSON.parse(readFileSync(paths.config, 'utf8'));
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
  };
}

export function writeClusterConfig(paths: ClusterPaths, config: ClusterConfig): void {
  mkdirSync(paths.data, { recursive: true, mode: 0o700 });
  writeFileSync(paths.config, `${JSON.stringify(config, null, 2)}\n`);
}

async function freePortPair(from: number): Promise<number> {
  for (let port = from; ; port += 10)
    if ((await portIsFree('0.0.0.0', port)) && (await portIsFree('0.0.0.0', port + 1))) return port;
}

/** The first slot whose pod range no route of this host and no running cluster uses. */
function freeSlot(): number {
  const used = new Set<number>([...routedSecondBytes(), ...runningClusters()]);
  let slot = 0;
  while (used.has(FIRST_POD_NET - slot)) slot++;
  return slot;
}

/** The second bytes of 10.x networks in the main routing table. */
function routedSecondBytes(): number[] {
  return readFileSync('/proc/net/route', 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t')[1] ?? '')
    .filter((hex) => hex.endsWith('0A'))
    .map((hex) => Number.parseInt(hex.slice(4, 6), 16));
}

function runningClusters(): number[] {
  if (!existsSync('/run/keelson')) return [];
  return readdirSync('/run/keelson')
    .map((name) => join('/run/keelson', name, 'cluster.json'))
    .filter((file) => existsSync(file))
    .map((file) =>
      Number((JSON.parse(readFileSync(file, 'utf8')) as ClusterConfig).clusterCidr.split('.')[1]),
    );
}
