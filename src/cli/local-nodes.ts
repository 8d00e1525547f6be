/** Starts, stops and removes the nodes of a cluster that run on this machine. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { ServiceCIDR } from '#types';
import { familyOf, parsePrefix } from '../api/machinery/prefix.js';
import { nodes as nodeResource } from '../api/resources/core/node.js';
import { serviceCidrs } from '../api/resources/networking/service-cidr.js';
import { Client, httpsTransport, loadKubeconfig } from '../client/index.js';
import type { NodeNetwork } from '../network/index.js';
import type { JoinInfo } from '../server/control-plane.js';
import { type ClusterConfig, type NodeEntry, readClusterConfig } from './cluster-config.js';
import { type Daemon, runningPid, startDaemon, stopDaemon } from './daemon.js';
import { CliError } from './error.js';
import { type NodePaths, nodePaths } from './nodes.js';
import type { ClusterPaths } from './paths.js';

/** Names and addresses for `count` more nodes, each with a network namespace of its own. */
export async function moreNodes(
  paths: ClusterPaths,
  config: ClusterConfig,
  count: number,
  name?: string,
): Promise<NodeEntry[]> {
  const network = await nodeNetwork(paths, config);
  const names = new Set(config.nodes.map((node) => node.name));
  const addresses = new Set(config.nodes.map((node) => node.address));
  const added: NodeEntry[] = [];
  for (let i = 0, number = 1; added.length < count; i++) {
    const address = network.addresses(i).join();
    if (addresses.has(address)) continue;
    while (names.has(`node-${number}`)) number++;
    const entry = { name: added.length === 0 && name ? name : `node-${number}`, address };
    names.add(entry.name);
    added.push(entry);
  }
  return added;
}

/** What joins the nodes of this machine that have network namespaces of their own. */
export async function nodeNetwork(
  { name }: ClusterPaths,
  { nodeCidr, clusterCidr }: ClusterConfig,
): Promise<NodeNetwork> {
  const { createNodeNetwork } = await import('../network/index.js');
  return createNodeNetwork({
    cluster: name,
    nodeCidrs: nodeCidr.split(','),
    clusterCidrs: clusterCidr.split(','),
  });
}

/** The bridge's address: where the nodes find the control plane. */
export const gatewayAddress = ({ nodeCidr }: ClusterConfig): string =>
  parsePrefix(nodeCidr.split(',')[0]!).at(1);

export const isRunning = (paths: ClusterPaths, node: string): boolean =>
  runningPid(nodePaths(paths, node).pid) !== undefined;

export interface StartingNode {
  entry: NodeEntry;
  daemon: Daemon;
  /** Lets it join: the control plane must be up. */
  join(): void;
}

/** Starts a node's agent, which loads while the control plane comes up. `argv`: more options of the agent. */
export async function startNode(
  paths: ClusterPaths,
  config: ClusterConfig,
  entry: NodeEntry,
  argv: string[] = [],
): Promise<StartingNode> {
  const { log, pid, run, netns } = nodePaths(paths, entry.name);
  if (entry.address !== undefined) {
    mkdirSync(run, { recursive: true, mode: 0o700 });
    const network = await nodeNetwork(paths, config);
    await network.attach(entry.name, netns, entry.address.split(','));
  }
  const given = ['agent', '--cluster', paths.name, '--data-dir', paths.data, '--name', entry.name];
  if (entry.address !== undefined) given.push('--node-ip', entry.address);
  given.push(...ingressArguments(paths, config, entry));
  const daemon = startDaemon(
    [...given, ...argv, '--join-from-stdin'],
    { log, pid },
    entry.address === undefined ? undefined : netns,
  );
  return {
    entry,
    daemon,
    join: () => {
      const info = JSON.parse(readFileSync(paths.join, 'utf8')) as JoinInfo;
      const server =
        entry.address === undefined ? info.server : `${gatewayAddress(config)}:${config.hubPort}`;
      daemon.send(JSON.stringify({ ...info, server }));
    },
  };
}

/** The ports of web browsers are the default cluster's, and those of nodes that have all ports for themselves. */
function ingressArguments(
  { name }: ClusterPaths,
  { ingress }: ClusterConfig,
  { address }: NodeEntry,
): string[] {
  const isOn = name === 'default' || address !== undefined;
  const { httpPort = isOn ? 80 : 0, httpsPort = isOn ? 443 : 0, metricsPort, accessLog } = ingress ?? {};
  const ports = ['--ingress-http-port', `${httpPort}`, '--ingress-https-port', `${httpsPort}`];
  if (metricsPort) ports.push('--ingress-metrics-port', `${metricsPort}`);
  return accessLog ? [...ports, '--ingress-access-log'] : ports;
}

/** Ends the agent and, unless `keepPods`, all that runs on the node, as when a machine is switched off. */
export async function stopNode(
  paths: ClusterPaths,
  node: string,
  { keepPods }: { keepPods: boolean },
): Promise<void> {
  const place = nodePaths(paths, node);
  await stopDaemon(place.pid);
  if (keepPods) return;
  const agent = await import('../agent/node.js');
  await agent.switchNodeOff(nodeOptions(paths, place));
  await releaseNamespace(paths, place);
}

/** Removes what a node whose agent has ended has on this machine: pods, kernel objects, files in its run folder. */
export async function removeNode(paths: ClusterPaths, place: NodePaths): Promise<void> {
  const agent = await import('../agent/node.js');
  await agent.removeNode(nodeOptions(paths, place));
  await releaseNamespace(paths, place);
  rmSync(place.run, { recursive: true, force: true });
}

async function releaseNamespace({ name }: ClusterPaths, { node, netns }: NodePaths): Promise<void> {
  if (!existsSync(netns)) return;
  const { releaseNode } = await import('../network/index.js');
  await releaseNode(name, node, netns);
}

/** Its pods' links go with a namespace of its own. */
const nodeOptions = (paths: ClusterPaths, node: NodePaths) => ({
  cluster: paths.name,
  node: node.node,
  runDir: node.run,
  dataDir: node.data,
  imagesDir: paths.images,
  imageAliases: paths.imageAliases,
  registries: paths.registries,
  cgroupRoot: node.cgroupRoot,
  ownNetwork: existsSync(node.netns),
  logger: pino({ level: 'error' }, process.stderr),
});

/** Runs `work` with the administrator's client. */
export async function withClient<T>(paths: ClusterPaths, work: (client: Client) => Promise<T>): Promise<T> {
  const transport = httpsTransport((await loadKubeconfig(paths.adminKubeconfig)).transport);
  try {
    return await work(new Client(transport));
  } finally {
    await transport.close();
  }
}

/** Waits until all of them are Ready. @throws CliError when one isn't in time. */
export async function nodesReady(paths: ClusterPaths, names: string[], seconds: number): Promise<void> {
  const signal = AbortSignal.timeout(seconds * 1000);
  const waiting = new Set(names);
  if (waiting.size === 0) return;
  await withClient(paths, async (client) => {
    try {
      for await (const { object } of client.of(nodeResource).watch({ signal })) {
        const ready = object.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';
        if (ready) waiting.delete(object.metadata.name);
        if (waiting.size === 0) return;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    const [node = ''] = waiting;
    throw new CliError(
      `The node ${node} was not Ready after ${seconds} s: see ${nodePaths(paths, node).log}.`,
    );
  });
}

/** Waits until the API server answers, which another command has started. @throws CliError when it doesn't in time. */
export async function answers(paths: ClusterPaths, seconds: number): Promise<void> {
  for (const deadline = Date.now() + seconds * 1000; ; ) {
    const failed = await withClient(paths, (client) => client.of(nodeResource).list()).then(
      () => undefined,
      (error: Error) => error,
    );
    if (!failed) return;
    if (Date.now() > deadline)
      throw new CliError(`The control plane does not answer: see ${join(paths.data, 'server.log')}.`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Routes from this machine to the pods of its nodes, and to Services by one of them; where an agent lives in its namespace, that sets them. */
export async function routeToPods(paths: ClusterPaths): Promise<void> {
  const config = readClusterConfig(paths);
  if (!config || config.nodes.some((node) => node.address === undefined)) return;
  const { createPodNetwork } = await import('../network/index.js');
  const own = new Map(config.nodes.map(({ name, address }) => [name, address!.split(',')]));
  const [{ items }, ranges] = await withClient(paths, (client) =>
    Promise.all([client.of(nodeResource).list(), client.of<ServiceCIDR>(serviceCidrs).list()]),
  );
  const gateways = own.get(config.nodes.find(({ name }) => isRunning(paths, name))?.name ?? '');
  const by = (addresses: string[] | undefined) => (podCidr: string) => {
    const address = addresses?.find((one) => familyOf(one) === familyOf(podCidr));
    return address ? [{ podCidr, address }] : [];
  };
  const toServices = ranges.items.flatMap(({ spec }) => spec?.cidrs ?? []).flatMap(by(gateways));
  const toPods = items.flatMap(({ metadata, spec }) =>
    (spec?.podCIDRs ?? []).flatMap(by(own.get(metadata.name))),
  );
  await createPodNetwork({ cluster: paths.name }).setRoutes([...toPods, ...toServices]);
}
