/** `keelson up`: a cluster on this machine, with one node or several. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import type { NodeFlags } from '../../agent/node/settings.js';
import {
  type ClusterConfig,
  chooseClusterConfig,
  familiesOf,
  parseFamilies,
  readClusterConfig,
  writeClusterConfig,
} from '../cluster-config.js';
import { type Daemon, runningPid, startDaemon, tellReady } from '../daemon.js';
import { CliError } from '../error.js';
import { type Interruption, interruption } from '../interruption.js';
import { contextName, mergeKubeconfig, userKubeconfigPath } from '../kubeconfig.js';
import {
  answers,
  gatewayAddress,
  isRunning,
  moreNodes,
  nodeNetwork,
  nodesReady,
  routeToPods,
  type StartingNode,
  startNode,
} from '../local-nodes.js';
import { lockMachine } from '../machine-lock.js';
import { flagArguments, nodeFlags } from '../node-flags.js';
import { defaultNodeName, localNodes, requireNodeName } from '../nodes.js';
import { type ClusterOptions, clusterOptions, type IngressOptions, ingressOptions } from '../options.js';
import { type ClusterPaths, clusterPaths } from '../paths.js';
import { requireDisk, requireIpv6, requireKernel, requirePort, requireRoot } from '../preflight.js';
import { createProgress, type Progress } from '../progress.js';
import { givenServerOptions, type ServerOptions, serverArgv, serverOptions } from '../server-options.js';
import { takeDown } from '../take-down.js';

interface Options extends ClusterOptions, IngressOptions, NodeFlags, ServerOptions {
  port: number | undefined;
  bind: string;
  node: string | undefined;
  nodes: number;
  ipFamilies: string | undefined;
  loadBalancerPool: string | undefined;
  nodeMonitorGracePeriod: number | undefined;
  resolvConf: string | undefined;
  kubeletRoot: string | undefined;
  kubeconfig: boolean;
  wait: number;
  untilStdinCloses: boolean;
}

export const upCommand: CommandModule<object, Options> = {
  command: 'up',
  describe: 'Start a cluster on this machine and wait until its nodes are Ready',
  builder: (parser) =>
    nodeFlags(
      ingressOptions(
        serverOptions(clusterOptions(parser)),
        ', or 0 for one node of another cluster than "default"',
      ),
    )
      .option('port', { type: 'number', describe: 'Port of the API server [default: 6443]' })
      .option('bind', { type: 'string', default: '0.0.0.0', describe: 'Address to listen on' })
      .option('nodes', {
        type: 'number',
        default: 1,
        describe: 'How many nodes; more than one live in network namespaces of their own',
      })
      .option('node', {
        type: 'string',
        describe:
          "The first node's name [default: that of this machine; node-1 of several, and where the machine has none that a node may have]",
      })
      .option('node-monitor-grace-period', {
        type: 'number',
        describe: 'Seconds of silence after which a node counts as gone [default: 40]',
      })
      .option('ip-families', {
        type: 'string',
        describe:
          'Of pods and Services: ipv4, ipv6, or both with a comma, the default one first [default: ipv4]',
      })
      .option('load-balancer-pool', {
        type: 'string',
        describe:
          "Range of addresses for Services of type LoadBalancer, or one of each family: 192.0.2.240/28 [default: the nodes' own]",
      })
      .option('resolv-conf', {
        type: 'string',
        describe:
          "The node's resolver configuration, for names outside of the cluster [default: /etc/resolv.conf]",
      })
      .option('kubelet-root', {
        type: 'string',
        describe:
          "The kubelet's folder, where storage drivers look; for one node [default: kubelet in its data folder]",
      })
      .option('kubeconfig', {
        type: 'boolean',
        default: true,
        describe: 'Merge the context into your kubeconfig',
      })
      .option('wait', { type: 'number', default: 60, describe: 'Seconds to wait for the nodes' })
      .option('until-stdin-closes', {
        type: 'boolean',
        default: false,
        describe: 'Stay, and take the cluster down with all its data when standard input closes',
      }) as never,
  handler: async (options) => {
    requireRoot('up');
    flagArguments(options);
    if (options.port !== undefined && (options.port < 1 || options.port > 65_534))
      throw new CliError('--port takes a port from 1 to 65534; that of the agents is the next one.', 2);
    const paths = clusterPaths(options.name, options.dataDir);
    if (options.node !== undefined) requireNodeName(options.node);
    if (!Number.isInteger(options.nodes) || options.nodes < 1 || options.nodes > 200)
      throw new CliError('--nodes takes a number from 1 to 200.', 2);
    if (options.nodeMonitorGracePeriod !== undefined && !(options.nodeMonitorGracePeriod > 10))
      throw new CliError('--node-monitor-grace-period must be longer than the 10 s between heartbeats.', 2);
    if (options.kubeletRoot !== undefined && options.nodes > 1)
      throw new CliError('--kubelet-root is for one node: several can not share a folder.', 2);
    const progress = createProgress();
    const started = performance.now();
    const release = await lockMachine();
    try {
      const serverRuns = runningPid(serverPid(paths)) !== undefined;
      if (serverRuns && allRun(paths, options.nodes))
        throw new CliError(
          `A cluster named "${paths.name}" is running already: use it, stop it with "keelson down", or choose another with --name.`,
        );
      await bringUpOrLeave(options, paths, serverRuns, progress, release);
    } finally {
      await release();
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    progress.done(
      `Cluster "${paths.name}" is up after ${seconds} s; kubectl uses the context ${contextName(paths.name)}.`,
    );
    if (options.untilStdinCloses) await hold(paths);
  },
};

/** Whoever holds the other end of standard input may die in any way: the cluster goes after it. */
async function hold(paths: ClusterPaths): Promise<void> {
  tellReady();
  await new Promise<void>((resolve) => {
    process.stdin
      .on('close', resolve)
      .on('error', () => resolve())
      .resume();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  await takeDown(paths, { keepData: false });
}

const serverPid = (paths: ClusterPaths): string => join(paths.run, 'server.pid');

function allRun(paths: ClusterPaths, count: number): boolean {
  const { nodes = [] } = readClusterConfig(paths) ?? {};
  return nodes.length >= count && nodes.every(({ name }) => isRunning(paths, name));
}

/** What was there before stays if it fails; what this command made goes. */
async function bringUpOrLeave(
  options: Options,
  paths: ClusterPaths,
  serverRuns: boolean,
  progress: Progress,
  begun: () => Promise<void>,
): Promise<void> {
  const anyRuns = serverRuns || localNodes(paths).some(({ node }) => isRunning(paths, node));
  const existed = existsSync(paths.config);
  const interrupted = interruption();
  try {
    await bringUp(options, paths, serverRuns, progress, begun, interrupted);
  } catch (error) {
    progress.failed();
    if (!anyRuns) await takeDown(paths, { keepData: existed });
    throw error;
  } finally {
    interrupted.end();
  }
}

/**
 * Starts what does not run: server and agents at once, so that the agents have loaded when the server is ready. `begun`
 * is called when other commands can see what runs, and which ports and ranges are taken.
 */
async function bringUp(
  options: Options,
  paths: ClusterPaths,
  serverRuns: boolean,
  progress: Progress,
  begun: () => Promise<void>,
  interrupted: Interruption,
): Promise<void> {
  progress.step('Checking this machine');
  requireKernel();
  requireDisk(paths.data);
  const config = await settle(options, paths, serverRuns);
  interrupted.check();

  progress.step('Starting the control plane');
  // By then it has its addresses on the nodes' link.
  if (config.nodes.some((node) => node.address !== undefined))
    await (await nodeNetwork(paths, config)).setup();
  interrupted.check();
  const server = serverRuns ? undefined : startServer(options, paths, config);
  const nodes = await startNodes(options, paths, config);
  await begun();
  const up = server?.ready ?? answers(paths, options.wait);
  await interrupted.race([up, ...nodes.map(({ daemon }) => failure(daemon))]);

  progress.step(config.nodes.length === 1 ? 'Starting the node' : `Starting ${config.nodes.length} nodes`);
  for (const node of nodes) node.join();
  const names = config.nodes.map(({ name }) => name);
  const joined = Promise.all(nodes.map(({ daemon }) => daemon.ready));
  await interrupted.race([joined.then(() => nodesReady(paths, names, options.wait))]);
  await routeToPods(paths);
  if (options.kubeconfig) mergeKubeconfig(paths.adminKubeconfig, userKubeconfigPath());
}

/** Those of last time, or newly chosen ports, ranges and nodes; the ports must be free. */
async function settle(options: Options, paths: ClusterPaths, serverRuns: boolean): Promise<ClusterConfig> {
  const families = options.ipFamilies === undefined ? undefined : parseFamilies(options.ipFamilies);
  const before = readClusterConfig(paths);
  if (before && families && families.join() !== familiesOf(before).join())
    throw new CliError(
      `The cluster "${paths.name}" was made with other IP families (--ip-families ${familiesOf(before).join().toLowerCase()}), which do not change: choose another with --name.`,
    );
  if ((families ?? (before ? familiesOf(before) : [])).includes('IPv6')) requireIpv6();
  const config = before ?? (await chooseClusterConfig(paths, options.port, families));
  const { ingressHttpPort, ingressHttpsPort, ingressMetricsPort, ingressAccessLog } = options;
  config.ingress = {
    httpPort: ingressHttpPort ?? config.ingress?.httpPort,
    httpsPort: ingressHttpsPort ?? config.ingress?.httpsPort,
    metricsPort: ingressMetricsPort ?? config.ingress?.metricsPort,
    accessLog: ingressAccessLog,
  };
  config.server = { ...config.server, ...givenServerOptions(options) };
  config.loadBalancerPool = options.loadBalancerPool ?? config.loadBalancerPool;
  if (!serverRuns) {
    await requirePort(options.bind, config.apiPort, '--port');
    await requirePort(options.bind, config.hubPort, '--port');
  }
  if (options.nodeMonitorGracePeriod !== undefined) config.nodeGraceSeconds = options.nodeMonitorGracePeriod;
  const missing = options.nodes - config.nodes.length;
  if (options.nodes === 1 && missing === 1) config.nodes.push({ name: options.node ?? defaultNodeName() });
  else if (missing > 0) {
    const name = config.nodes.length === 0 ? options.node : undefined;
    config.nodes.push(...(await moreNodes(paths, config, missing, name)));
  }
  writeClusterConfig(paths, config);
  return config;
}

/** Starts the agents that do not run. */
async function startNodes(
  options: Options,
  paths: ClusterPaths,
  config: ClusterConfig,
): Promise<StartingNode[]> {
  const { resolvConf } = options;
  const argv = resolvConf === undefined ? [] : ['--resolv-conf', resolve(resolvConf)];
  argv.push(...flagArguments(options));
  if (options.kubeletRoot !== undefined) argv.push('--kubelet-root', resolve(options.kubeletRoot));
  const waiting = config.nodes.filter(({ name }) => !isRunning(paths, name));
  return Promise.all(waiting.map((entry) => startNode(paths, config, entry, argv)));
}

function startServer(options: Options, paths: ClusterPaths, config: ClusterConfig): Daemon {
  // Pods reach the API by the cluster's first IP family.
  const isEverywhere = options.bind === '0.0.0.0' && familiesOf(config)[0] === 'IPv6';
  const bind = isEverywhere ? '::' : options.bind;
  const argv = ['server', '--name', paths.name, '--data-dir', paths.data, '--bind', bind];
  argv.push('--port', `${config.apiPort}`, '--hub-port', `${config.hubPort}`);
  argv.push('--tls-san', gatewayAddress(config));
  if (config.nodeGraceSeconds !== undefined)
    argv.push('--node-monitor-grace-period', `${config.nodeGraceSeconds}`);
  argv.push('--cluster-cidr', config.clusterCidr, '--service-cidr', config.serviceCidr);
  if (config.loadBalancerPool) argv.push('--load-balancer-pool', config.loadBalancerPool);
  argv.push(...serverArgv(config.server ?? {}));
  return startDaemon(argv, { log: join(paths.data, 'server.log'), pid: serverPid(paths) });
}

/** Rejects when the daemon ends; never resolves. */
const failure = (daemon: Daemon): Promise<never> =>
  daemon.ready.then(() => new Promise<never>(() => undefined));
