/** The nodes that this machine runs for a cluster: one folder each in `/run/keelson/<cluster>/nodes`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { CliError } from './error.js';
import type { ClusterPaths } from './paths.js';

/** The machine's name where it can be a node's, else `node-1`. */
export function defaultNodeName(machine = hostname()): string {
  const name = machine.toLowerCase();
  return NODE_NAME.test(name) ? name : 'node-1';
}

/** @throws CliError for what can't be a node's name. */
export function requireNodeName(name: string): void {
  if (!NODE_NAME.test(name))
    throw new CliError(
      `"${name}" can't be a node's name: use lower-case letters, digits, dashes and dots.`,
      2,
    );
}

/** Names that a Node may have (RFC 1123). */
const NODE_NAME = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export interface NodePaths {
  node: string;
  /** Sandboxes' sockets and state: lost at a reboot, as the processes are. */
  run: string;
  /** Credentials, volumes, writable layers. */
  data: string;
  pid: string;
  log: string;
  adminSocket: string;
  cgroupRoot: string;
  /** Keeps its network namespace; not there for a node that lives in that of this machine. */
  netns: string;
}

export function nodePaths(cluster: ClusterPaths, node: string): NodePaths {
  const run = join(cluster.run, 'nodes', node);
  const data = join(cluster.data, 'nodes', node);
  return {
    node,
    run,
    data,
    pid: join(run, 'agent.pid'),
    log: join(data, 'agent.log'),
    adminSocket: join(run, 'agent.sock'),
    netns: join(run, 'netns'),
    cgroupRoot: `keelson/${cluster.name}/${node}`,
  };
}

/** Where a node's data is, written to its run folder so that `down` finds it. */
export function registerNode(paths: NodePaths): void {
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  mkdirSync(paths.data, { recursive: true, mode: 0o700 });
  writeFileSync(join(paths.run, 'node.json'), JSON.stringify(paths));
}

/** Every node that was ever started on this machine for the cluster and not taken down. */
export function localNodes(cluster: ClusterPaths): NodePaths[] {
  const folder = join(cluster.run, 'nodes');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((node) => join(folder, node, 'node.json'))
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')));
}
