/** `keelson status` */
import { join } from 'node:path';
import type { CommandModule } from 'yargs';
import { nodes } from '../../api/resources/core/node.js';
import { pods } from '../../api/resources/core/pod.js';
import { Client, httpsTransport, loadKubeconfig } from '../../client/index.js';
import { runningPid } from '../daemon.js';
import { localNodes } from '../nodes.js';
import { type ClusterOptions, clusterOptions } from '../options.js';
import { type ClusterPaths, clusterPaths, requireCluster } from '../paths.js';

export const statusCommand: CommandModule<object, ClusterOptions> = {
  command: 'status',
  describe: 'Show the processes, nodes and pods of a cluster',
  builder: (parser) => clusterOptions(parser),
  handler: async ({ name, dataDir }) => {
    const paths = clusterPaths(name, dataDir);
    requireCluster(paths, paths.config);
    const lines = [processLine('server', runningPid(join(paths.run, 'server.pid')))];
    for (const node of localNodes(paths)) lines.push(processLine(`agent ${node.node}`, runningPid(node.pid)));
    lines.push(...(await apiLines(paths)));
    process.stdout.write(`Cluster ${name}\n${lines.map((line) => `  ${line}\n`).join('')}`);
  },
};

const processLine = (what: string, pid: number | undefined): string =>
  `${what}: ${pid === undefined ? 'not running' : `running (pid ${pid})`}`;

async function apiLines(paths: ClusterPaths): Promise<string[]> {
  const config = (await loadKubeconfig(paths.adminKubeconfig)).transport;
  const transport = httpsTransport(config);
  try {
    const client = new Client(transport);
    const [nodeList, podList] = await Promise.all([client.of(nodes).list(), client.of(pods).list()]);
    const running = podList.items.filter((pod) => pod.status?.phase === 'Running').length;
    return [
      `API: ${config.server}`,
      ...nodeList.items.map((node) => {
        const ready = node.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True';
        return `node ${node.metadata.name}: ${ready ? 'Ready' : 'NotReady'}`;
      }),
      `pods: ${running} running, ${podList.items.length} in all`,
    ];
  } catch (error) {
    return [`API: no answer (${(error as Error).message})`];
  } finally {
    await transport.close();
  }
}
