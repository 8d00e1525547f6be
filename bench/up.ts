/** From `keelson up` to all nodes Ready. */
import { withCluster } from './cluster.js';
import { memoryRows } from './node/memory.js';
import { quantile, type Result } from './report.js';

const TIMES = 3;

export async function benchUp(): Promise<Result[]> {
  return [
    await up(1, 'up to node Ready', 2),
    await up(3, 'up --nodes 3 to all Ready', 4),
    ...(await withCluster({}, async (cluster) => memoryRows(cluster, 'idle'))),
  ];
}

/** The median. */
async function up(nodes: number, name: string, target: number): Promise<Result> {
  const seconds: number[] = [];
  for (let i = 0; i < TIMES; i++)
    seconds.push(await withCluster({ nodes }, async ({ upSeconds }) => upSeconds));
  return { name, value: quantile(seconds, 0.5), unit: 's', target };
}
