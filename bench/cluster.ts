/** A cluster for a group of rows: beside any other on this machine, and gone with the benchmark however that ends. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HttpsTransportOptions } from '../src/client/index.js';
import { type Client, loadKubeconfig, startCluster } from '../src/index.js';

export interface BenchCluster {
  name: string;
  client: Client;
  kubeconfig: string;
  /** How to reach its API. */
  api: HttpsTransportOptions;
  /** Where its processes keep their sockets. */
  runDir: string;
  /** Seconds from `up` to all nodes Ready. */
  upSeconds: number;
}

export interface BenchClusterOptions {
  nodes?: number;
  up?: string[];
}

export async function withCluster<T>(
  { nodes = 1, up = [] }: BenchClusterOptions,
  work: (cluster: BenchCluster) => Promise<T>,
): Promise<T> {
  const started = performance.now();
  const cluster = await startCluster({ nodes, up });
  const upSeconds = (performance.now() - started) / 1000;
  try {
    const { client, kubeconfig } = cluster;
    const name = /current-context: keelson-(\S+)/.exec(readFileSync(kubeconfig, 'utf8'))![1]!;
    const { transport: api } = await loadKubeconfig(kubeconfig);
    const runDir = join('/run/keelson', name);
    return await work({ name, client, kubeconfig, api, runDir, upSeconds });
  } finally {
    await cluster.close();
  }
}
