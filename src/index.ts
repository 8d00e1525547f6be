/**
 * The library: a real control plane inside a Node process, for the tests of controllers.
 *
 * ```ts
 * const cluster = await startCluster();
 * await cluster.client.of(configMaps).create({ … });
 * await cluster.close();
 * ```
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import type { Client } from './client/index.js';
import { startControlPlane } from './server/control-plane.js';
import { keelsonVersion } from './server/version.js';

export * from './api/resources/index.js';
export * from './client/index.js';

export interface ClusterOptions {
  /** Keeps the database there; a temporary folder, removed by `close`, when absent. */
  dataDir?: string;
  logger?: Logger;
}

export interface Cluster {
  /** A client within the process, as an administrator. */
  client: Client;
  /** Path of a kubeconfig for kubectl and other clients. */
  kubeconfig: string;
  /** `host:port` of the hub, a token and the CA's hash: what `keelson agent` takes to join a node. */
  join: { server: string; token: string; caHash: string };
  close(): Promise<void>;
}

/** Starts a control plane without nodes on free ports of the loopback address. Needs no root. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'keelson-')));
  const controlPlane = await startControlPlane({
    clusterName: 'library',
    dataDir,
    bind: '127.0.0.1',
    apiPort: 0,
    hubPort: 0,
    advertiseAddress: '127.0.0.1',
    clusterCidr: '10.244.0.0/16',
    serviceCidr: '10.96.0.0/16',
    version: keelsonVersion(),
    logger: options.logger ?? pino({ level: 'silent' }),
  });
  const kubeconfig = join(dataDir, 'admin.kubeconfig');
  return {
    client: controlPlane.clientFor({
      name: 'kubernetes-admin',
      groups: ['system:masters', 'system:authenticated'],
    }),
    kubeconfig,
    join: controlPlane.join,
    async close() {
      await controlPlane.close();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}
