/** `keelson node list|add|remove|start|stop`: the nodes that this machine runs. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { isReason } from '../../api/machinery/status.js';
import { nodes as nodeResource } from '../../api/resources/core/node.js';
import { type ClusterConfig, readClusterConfig, writeClusterConfig } from '../cluster-config.js';
import { runningPid, stopDaemon } from '../daemon.js';
import { CliError } from '../error.js';
import { revoke } from '../identities.js';
import {
  isRunning,
  moreNodes,
  nodeNetwork,
  nodesReady,
  removeNode,
  routeToPods,
  startNode,
  stopNode,
  withClient,
} from '../local-nodes.js';
import { withMachineLock } from '../machine-lock.js';
import { nodePaths, requireNodeName } from '../nodes.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { type ClusterPaths, clusterPaths } from '../paths.js';
import { requireRoot } from '../preflight.js';
import { printTable } from '../table.js';

type Named = ClusterOptions & { node: string };
type Removing = Named & { force: boolean };
type Starting = ClusterOptions & { node: string | undefined; wait: number };

interface Place {
  paths: ClusterPaths;
  config: ClusterConfig;
}

/** @throws CliError when this machine has no such cluster. */
function find({ name, dataDir }: ClusterOptions): Place {
  requireRoot('node');
  const paths = clusterPaths(name, dataDir);
  const config = readClusterConfig(paths);
  if (!config || !existsSync(paths.join))
    throw new CliError(`There is no cluster "${name}" on this machine: make one with "keelson up".`);
  return { paths, config };
}

/** @throws CliError when no node could join. */
function requireServer({ paths }: Place): void {
  if (runningPid(join(paths.run, 'server.pid')) === undefined)
    throw new CliError(`The control plane of "${paths.name}" is not running: start it with "keelson up".`);
}

/** @throws CliError when the cluster has no such node here. */
function findNode({ config, paths }: Place, node: string) {
  const entry = config.nodes.find(({ name }) => name === node);
  if (entry) return entry;
  const all = config.nodes.map(({ name }) => name).join(', ') || 'none';
  throw new CliError(`Cluster "${paths.name}" has no node "${node}" on this machine; it has: ${all}.`);
}

const withNode = <T>(parser: Argv<T>) =>
  clusterOptions(parser).positional('node', { type: 'string', demandOption: true }) as never;

const withWait = <T>(parser: Argv<T>) =>
  parser.option('wait', { type: 'number', default: 60, describe: 'Seconds to wait until it is Ready' });

/** Starts the agent, and waits until the node is Ready. */
async function start({ paths, config }: Place, node: string, seconds: number): Promise<void> {
  const entry = findNode({ paths, config }, node);
  if (entry.address !== undefined) await (await nodeNetwork(paths, config)).setup();
  const starting = await startNode(paths, config, entry);
  starting.join();
  await starting.daemon.ready;
  await nodesReady(paths, [node], seconds);
  await routeToPods(paths);
}

const addCommand: CommandModule<object, Starting> = {
  command: 'add [node]',
  describe: 'Join one more node, in a network namespace of its own',
  builder: (parser) => withWait(clusterOptions(parser).positional('node', { type: 'string' })) as never,
  handler: async (options) => {
    const { node } = options;
    if (node !== undefined) requireNodeName(node);
    const { place, name } = await withMachineLock(async () => {
      const place = find(options);
      requireServer(place);
      const { paths, config } = place;
      if (config.nodes.some(({ name }) => name === node))
        throw new CliError(`Cluster "${paths.name}" has a node "${node}" already.`);
      const [entry] = await moreNodes(paths, config, 1, node);
      config.nodes.push(entry!);
      writeClusterConfig(paths, config);
      return { place, name: entry!.name };
    });
    await start(place, name, options.wait);
    process.stdout.write(`node ${name} added\n`);
  },
};

const startCommand: CommandModule<object, Starting & Named> = {
  command: 'start <node>',
  describe: 'Start a node that was stopped, and wait until it is Ready',
  builder: (parser) => withWait(withNode(parser) as Argv) as never,
  handler: async (options) => {
    const place = find(options);
    findNode(place, options.node);
    if (isRunning(place.paths, options.node))
      throw new CliError(`The node "${options.node}" is running already.`);
    requireServer(place);
    await start(place, options.node, options.wait);
    process.stdout.write(`node ${options.node} started\n`);
  },
};

const stopCommand: CommandModule<object, Named & { keepPods: boolean }> = {
  command: 'stop <node>',
  describe: 'Stop a node and all that runs on it, as if the machine were switched off',
  builder: (parser) =>
    (withNode(parser) as Argv).option('keep-pods', {
      type: 'boolean',
      default: false,
      describe: 'End the agent only: pods run on',
    }) as never,
  handler: async (options) => {
    const place = find(options);
    findNode(place, options.node);
    await stopNode(place.paths, options.node, { keepPods: options.keepPods });
    // It may have been the way to Services. Without a control plane nobody knows another.
    if (!options.keepPods) await routeToPods(place.paths).catch(() => {});
    process.stdout.write(`node ${options.node} stopped\n`);
  },
};

/** Takes its certificate back, and deletes its Node object. */
const forget = (paths: ClusterPaths, node: string): Promise<void> =>
  withClient(paths, async (client) => {
    await revoke(client, `system:node:${node}`, { removed: true });
    await client.of(nodeResource).delete('', node);
  }).catch((error) => {
    if (!isReason(error, 'NotFound'))
      throw new CliError(`The node could not be removed from the API: ${error.message}`);
  });

/** What a node of another machine runs there is left alone. @throws CliError when the cluster has no such node. */
async function removeElsewhere({ paths }: Place, { node, force }: Removing): Promise<void> {
  const { items } = await withClient(paths, (client) => client.of(nodeResource).list());
  const names = items.map(({ metadata }) => metadata.name);
  if (!names.includes(node) && !force)
    throw new CliError(
      `Cluster "${paths.name}" has no node "${node}"; it has: ${names.join(', ') || 'none'}. With --force, certificates of that name are taken back all the same.`,
    );
  await forget(paths, node);
  process.stdout.write(`node ${node} removed; what runs on its machine runs on\n`);
}

const removeCommand: CommandModule<object, Removing> = {
  command: 'remove <node>',
  aliases: 'rm',
  describe:
    'Stop a node for good: its certificate, its Node object and all that it made on this machine go, nothing is drained',
  builder: (parser) =>
    (withNode(parser) as Argv).option('force', {
      type: 'boolean',
      default: false,
      describe: 'Take back certificates of that name although there is no such node',
    }) as never,
  handler: async (options) => {
    const place = find(options);
    const { paths, config } = place;
    if (!config.nodes.some(({ name }) => name === options.node)) return removeElsewhere(place, options);
    const files = nodePaths(paths, options.node);
    await stopDaemon(files.pid);
    await forget(paths, options.node);
    await removeNode(paths, files);
    rmSync(files.data, { recursive: true, force: true });
    await withMachineLock(async () => {
      const { config } = find(options);
      const nodes = config.nodes.filter(({ name }) => name !== options.node);
      writeClusterConfig(paths, { ...config, nodes });
    });
    await routeToPods(paths);
    process.stdout.write(`node ${options.node} removed\n`);
  },
};

const listCommand: CommandModule<object, ClusterOptions> = {
  command: 'list',
  aliases: 'ls',
  describe: 'List the nodes that this machine runs',
  builder: clusterOptions,
  handler: (options) => {
    const { paths, config } = find(options);
    const rows = config.nodes.map(({ name, address }) => [
      name,
      isRunning(paths, name) ? 'running' : 'stopped',
      address ?? 'this machine',
    ]);
    printTable([['NODE', 'AGENT', 'ADDRESS'], ...rows]);
  },
};

export const nodeCommand: CommandModule = {
  command: 'node <command>',
  describe: 'List, add, remove, start and stop nodes on this machine',
  builder: (parser) =>
    parser
      .command(listCommand)
      .command(addCommand)
      .command(removeCommand)
      .command(startCommand)
      .command(stopCommand)
      .demandCommand(1),
  handler: () => undefined,
};
