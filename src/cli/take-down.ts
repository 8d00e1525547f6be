/** Removes what a cluster has on this machine: processes, kernel objects, files, kubeconfig context. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { stopDaemon } from './daemon.js';
import { unmergeKubeconfig, userKubeconfigPath } from './kubeconfig.js';
import { localNodes, type NodePaths } from './nodes.js';
import type { ClusterPaths } from './paths.js';

export interface TakeDownOptions {
  /** Keep database, keys and images, so that `up` goes on with them. */
  keepData: boolean;
}

/** Idempotent: what is not there is not missed. */
export async function takeDown(paths: ClusterPaths, options: TakeDownOptions): Promise<void> {
  const nodes = localNodes(paths);
  for (const pidFile of agentPids(paths)) await stopDaemon(pidFile);
  for (const node of nodes) await removeNode(paths, node);
  await stopDaemon(join(paths.run, 'server.pid'));
  unmergeKubeconfig(paths.name, userKubeconfigPath());
  rmSync(paths.run, { recursive: true, force: true });
  if (!options.keepData) rmSync(paths.data, { recursive: true, force: true });
  removeIfEmpty('/run/keelson');
  removeIfEmpty('/var/lib/keelson');
}

/** Also of an agent that ended before it registered its node. */
function agentPids(paths: ClusterPaths): string[] {
  const folder = join(paths.run, 'nodes');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((node) => join(folder, node, 'agent.pid'));
}

/** Ends the pods and removes cgroups, mounts, links and the nftables table of a node whose agent has ended. */
async function removeNode(paths: ClusterPaths, node: NodePaths): Promise<void> {
  const agent = await import('../agent/node.js');
  await agent.removeNode({
    cluster: paths.name,
    node: node.node,
    runDir: node.run,
    dataDir: node.data,
    imagesDir: paths.images,
    imageAliases: paths.imageAliases,
    registries: paths.registries,
    cgroupRoot: node.cgroupRoot,
    logger: pino({ level: 'error' }, process.stderr),
  });
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Another cluster lives there, or it is not there.
  }
}
