/** What the commands about images share. */
import type { Argv } from 'yargs';
import { type NodeClient, nodeClient } from '../node-client.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { clusterPaths } from '../paths.js';
import { requireRoot } from '../preflight.js';

export type ImageOptions = ClusterOptions & { node: string | undefined };

export const withNode = <T>(parser: Argv<T>) =>
  clusterOptions(parser).option('node', { type: 'string', describe: 'Which node of this machine' });

/** Runs `work` with the agent's client. */
export async function withClient(
  options: ImageOptions,
  work: (client: NodeClient) => Promise<void>,
): Promise<void> {
  requireRoot('image');
  const client = nodeClient(clusterPaths(options.name, options.dataDir), options.node);
  try {
    await work(client);
  } finally {
    client.close();
  }
}

/** `12.3 MB`, as other image tools print it. */
export function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (bytes >= 1000 && i < units.length - 1) {
    bytes /= 1000;
    i++;
  }
  return `${i === 0 ? bytes : bytes.toPrecision(3)} ${units[i]}`;
}
