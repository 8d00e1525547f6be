/** `keelson up`: a cluster with one node on this machine. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { nodes } from '../../api/resources/core/node.js';
import { Client, httpsTransport, loadKubeconfig } from '../../client/index.js';
import {
  type ClusterConfig,
  chooseClusterConfig,
  readClusterConfig,
  writeClusterConfig,
} from '../cluster-config.js';
import { type Daemon, runningPid, startDaemon } from '../daemon.js';
import { CliError } from '../error.js';
import { contextName, mergeKubeconfig, userKubeconfigPath } from '../kubeconfig.js';
import { localNodes, nodePaths } from '../nodes.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { type ClusterPaths, clusterPaths } from '../paths.js';
import { requireDisk, requireKernel, requirePort, requireRoot } from '../preflight.js';
import { createProgress, type Progress } from '../progress.js';
import { takeDown } from '../take-down.js';

interface Options extends ClusterOptions {
  port: number | undefined;
  bind: string;
  node: string | undefined;
  resolvConf: string | undefined;
  kubeconfig: boolean;
  wait: number;
}

export const upCommand: CommandModule<object, Options> = {
  command: 'up',
  describe: 'Start a cluster on this machine and wait until its node is Ready',
  builder: (parser) =>
    clusterOptions(parser)
      .option('port', { type: 'number', describe: 'Port of the API server [default: 6443]' })
      .option('bind', { type: 'string', default: '0.0.0.0', describe: 'Address to listen on' })
      .option('node', { type: 'string', default: hostname().toLowerCase(), describe: "The node's name" })
      .option('resolv-conf', {
        type: 'string',
        describe:
          "The node's resolver configuration, for names outside of the cluster [default: /etc/resolv.conf]",
      })
      .option('kubeconfig', {
        type: 'boolean',
        default: true,
        describe: 'Merge the context into your kubeconfig',
      })
      .option('wait', { type: 'number', default: 60, describe: 'Seconds to wait for the node' }) as never,
  handler: async (options) => {
    requireRoot('up');
    const paths = clusterPaths(options.name, options.dataDir);
    const runs = {
      server: runningPid(serverPid(paths)) !== undefined,
      agent: localNodes(paths).some((node) => runningPid(node.pid) !== undefined),
    };
    if (runs.server && runs.agent)
      throw new CliError(
        `A cluster named "${paths.name}" is running already: use it, stop it with "keelson down", or choose another with --name.`,
      );
    const existed = existsSync(paths.config);
    const progress = createProgress();
    const started = performance.now();
    try {
      await bringUp(options, paths, runs, progress);
    } catch (error) {
      progress.failed();
      // What was there before stays; what this command made goes.
      if (!runs.server && !runs.agent) await takeDown(paths, { keepData: existed });
      throw error;
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    progress.done(
      `Cluster "${paths.name}" is up after ${seconds} s; kubectl uses the context ${contextName(paths.name)}.`,
    );
  },
};

const serverPid = (paths: ClusterPaths): string => join(paths.run, 'server.pid');

/** Starts what does not run: server and agent at once, so that the agent has loaded when the server is ready. */
async function bringUp(
  options: Options,
  paths: ClusterPaths,
  runs: { server: boolean; agent: boolean },
  progress: Progress,
): Promise<void> {
  progress.step('Checking this machine');
  requireKernel();
  requireDisk(paths.data);
  const config = await settle(options, paths, runs.server);

  progress.step('Starting the control plane');
  const node = localNodes(paths)[0]?.node ?? options.node ?? hostname().toLowerCase();
  const server = runs.server ? undefined : startServer(options, paths, config);
  const agent = runs.agent ? undefined : startAgent(node, options, paths);
  if (server) await Promise.race([server.ready, ...(agent ? [failure(agent)] : [])]);

  progress.step('Starting the node');
  agent?.send(readFileSync(paths.join, 'utf8').trim());
  await agent?.ready;
  await nodeReady(paths, node, options.wait);
  if (options.kubeconfig) mergeKubeconfig(paths.adminKubeconfig, userKubeconfigPath());
}

/** Ports and ranges: those of last time, or newly chosen ones; the ports must be free. */
async function settle(options: Options, paths: ClusterPaths, serverRuns: boolean): Promise<ClusterConfig> {
  const config = readClusterConfig(paths) ?? (await chooseClusterConfig(paths, options.port));
  if (serverRuns) return config;
  await requirePort(options.bind, config.apiPort, '--port');
  await requirePort(options.bind, config.hubPort, '--port');
  writeClusterConfig(paths, config);
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  writeFileSync(join(paths.run, 'cluster.json'), JSON.stringify(config));
  return config;
}

function startServer(options: Options, paths: ClusterPaths, config: ClusterConfig): Daemon {
  const argv = ['server', '--name', paths.name, '--data-dir', paths.data, '--bind', options.bind];
  argv.push('--port', `${config.apiPort}`, '--hub-port', `${config.hubPort}`);
  argv.push('--cluster-cidr', config.clusterCidr, '--service-cidr', config.serviceCidr);
  return startDaemon(argv, { log: join(paths.data, 'server.log'), pid: serverPid(paths) });
}

function startAgent(node: string, { resolvConf }: Options, paths: ClusterPaths): Daemon {
  const { log, pid } = nodePaths(paths, node);
  const argv = ['agent', '--cluster', paths.name, '--data-dir', paths.data, '--name', node];
  if (resolvConf !== undefined) argv.push('--resolv-conf', resolve(resolvConf));
  return startDaemon([...argv, '--join-from-stdin'], { log, pid });
}

/** Rejects when the daemon ends; never resolves. */
const failure = (daemon: Daemon): Promise<never> =>
  daemon.ready.then(() => new Promise<never>(() => undefined));

/** @throws CliError when the node isn't Ready in time. */
async function nodeReady(paths: ClusterPaths, name: string, seconds: number): Promise<void> {
  const transport = httpsTransport((await loadKubeconfig(paths.adminKubeconfig)).transport);
  const signal = AbortSignal.timeout(seconds * 1000);
  try {
    const client = new Client(transport).of(nodes);
    for await (const event of client.watch({ fieldSelector: `metadata.name=${name}`, signal }))
      if (event.object.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True')) return;
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await transport.close();
  }
  throw new CliError(`The node ${name} was not Ready after ${seconds} s: see ${nodePaths(paths, name).log}.`);
}
