/**
 * The library: a real cluster for the tests of controllers, gone with the process that started it.
 *
 * ```ts
 * const cluster = await startCluster();              // the API and its controllers, in this process
 * const cluster = await startCluster({ nodes: 1 });  // with nodes that run pods; as root
 * await cluster.client.of(configMaps).create({ … });
 * await cluster.close();
 * ```
 *
 * See docs/testing.md.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Logger, pino } from 'pino';
import { Client, httpsTransport, loadKubeconfig } from './client/index.js';
import { startControlPlane } from './server/control-plane.js';
import { keelsonVersion } from './server/version.js';

export { StatusError } from './api/machinery/status.js';
export * from './api/resources/index.js';
export * from './client/index.js';

export interface ClusterOptions {
  /** How many nodes run pods; 0 when absent: the API alone, which needs no root. */
  nodes?: number;
  /** More options of `keelson up` for a cluster with nodes. */
  up?: string[];
  /** Keeps the database there; a temporary folder, removed by `close`, when absent. Not with nodes. */
  dataDir?: string;
  /** Of a control plane in this process; silent when absent. */
  logger?: Logger;
}

export interface Cluster {
  /** A client with an administrator's rights. */
  client: Client;
  /** Path of a kubeconfig for kubectl and other clients. */
  kubeconfig: string;
  /** Of a cluster without nodes: `host:port` of the hub, a token and the CA's hash, which `keelson agent` takes to join. */
  join?: { server: string; token: string; caHash: string };
  /** Takes all of it away. */
  close(): Promise<void>;
}

/**
 * Starts a cluster on free ports and ranges, any number of them side by side. When this process ends without `close`,
 * the cluster ends too, whatever ended it.
 * @throws Error with what `keelson up` says when nodes can't be started.
 */
export function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  return options.nodes ? startWithNodes(options.nodes, options.up ?? []) : startApi(options);
}

async function startApi(options: ClusterOptions): Promise<Cluster> {
  const dataDir = options.dataDir ?? (await temporaryFolder());
  const guard = options.dataDir === undefined ? removeAfterUs(dataDir) : undefined;
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
  return {
    client: controlPlane.clientFor({
      name: 'kubernetes-admin',
      groups: ['system:masters', 'system:authenticated'],
    }),
    kubeconfig: join(dataDir, 'admin.kubeconfig'),
    join: controlPlane.join,
    async close() {
      await controlPlane.close();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
      guard?.stdin?.end();
    },
  };
}

const temporaryFolder = () => mkdtemp(join(tmpdir(), 'keelson-'));

/** Removes a folder when this process is gone. */
function removeAfterUs(folder: string): ChildProcess {
  const guard = spawn('sh', ['-c', 'cat >/dev/null; rm -rf "$0"', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  leaveAlone(guard);
  return guard;
}

/** Neither the child nor its pipe keeps this process alive. */
function leaveAlone(child: ChildProcess): void {
  child.unref();
  for (const stream of child.stdio) (stream as { unref?(): void } | null)?.unref?.();
  child.stdin!.on('error', () => undefined);
}

let started = 0;

/** `keelson up` with our end of a pipe as its life line. */
async function startWithNodes(nodes: number, up: string[]): Promise<Cluster> {
  const dataDir = await temporaryFolder();
  const name = `lib-${process.pid}-${++started}`;
  const main = join(dirname(fileURLToPath(import.meta.url)), 'cli/main.js');
  const argv = ['up', '--name', name, '--data-dir', dataDir, '--nodes', `${nodes}`, '--no-kubeconfig'];
  const child = spawn(process.execPath, [main, ...argv, '--until-stdin-closes', ...up], {
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, KEELSON_READY_FD: '3' },
    cwd: '/',
  });
  const ended = new Promise<string>((resolve) => {
    let errors = '';
    child.stderr!.on('data', (chunk) => {
      errors = (errors + chunk).slice(-4096);
    });
    child.once('close', () => resolve(errors));
    child.once('error', (error) => resolve(error.message));
  });
  const ready = new Promise<true>((resolve) => child.stdio[3]!.once('data', () => resolve(true)));
  const outcome = await Promise.race([ready, ended]);
  if (outcome !== true) {
    await rm(dataDir, { recursive: true, force: true });
    throw new Error(`The cluster could not be started. ${outcome.trim()}`);
  }
  leaveAlone(child);
  const kubeconfig = join(dataDir, 'admin.kubeconfig');
  const transport = httpsTransport((await loadKubeconfig(kubeconfig)).transport);
  return {
    client: new Client(transport),
    kubeconfig,
    async close() {
      await transport.close();
      child.ref();
      child.stdin!.end();
      await ended;
    },
  };
}
