/** Removes what a cluster has on this machine: processes, kernel objects, files, kubeconfig context. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stopDaemon } from './daemon.js';
import { unmergeKubeconfig, userKubeconfigPath } from './kubeconfig.js';
import { removeNode } from './local-nodes.js';
import { localNodes, type NodePaths, nodePaths } from './nodes.js';
import type { ClusterPaths } from './paths.js';

export interface TakeDownOptions {
  /** Keep database, keys and images, so that `up` goes on with them. */
  keepData: boolean;
}

/** Idempotent: what is not there is not missed. */
export async function takeDown(paths: ClusterPaths, options: TakeDownOptions): Promise<void> {
  await Promise.all(agentPids(paths).map((pidFile) => stopDaemon(pidFile)));
  const nodes = await Promise.allSettled(startedNodes(paths).map((node) => removeNode(paths, node)));
  await stopDaemon(join(paths.run, 'server.pid'));
  // What is left is for another try: its files stay.
  for (const node of nodes) if (node.status === 'rejected') throw node.reason;
  const { removeNodeNetwork } = await import('../network/index.js');
  await removeNodeNetwork(paths.name);
  unmergeKubeconfig(paths.name, userKubeconfigPath());
  rmSync(paths.run, { recursive: true, force: true });
  if (!options.keepData) removeData(paths.data);
  removeIfEmpty('/run/keelson');
  removeIfEmpty('/var/lib/keelson');
}

/** Also those whose agents ended before they registered, with a namespace of their own. */
function startedNodes(paths: ClusterPaths): NodePaths[] {
  const registered = localNodes(paths);
  const known = new Set(registered.map(({ node }) => node));
  const others = folders(paths).filter((node) => !known.has(node));
  return [...registered, ...others.map((node) => nodePaths(paths, node)).filter((n) => existsSync(n.netns))];
}

/** Also of an agent that ended before it registered its node. */
function agentPids(paths: ClusterPaths): string[] {
  return folders(paths).map((node) => join(paths.run, 'nodes', node, 'agent.pid'));
}

function folders(paths: ClusterPaths): string[] {
  const folder = join(paths.run, 'nodes');
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** What a data folder holds of ours: a folder that the user chose may hold other things. */
const OURS = [
  ...[
    'pki',
    'db',
    'images',
    'nodes',
    'server.log',
    'cluster.json',
    'encryption.yaml',
    'admin.kubeconfig',
    'join.json',
  ],
  ...['image-aliases.yaml', 'registries.yaml'],
];

function removeData(folder: string): void {
  for (const name of OURS) rmSync(join(folder, name), { recursive: true, force: true });
  removeIfEmpty(folder);
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Something else lives there, or it is not there.
  }
}
