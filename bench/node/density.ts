/** Five hundred pods on one node: how long they take, and what they cost while they do nothing. */
import { type BenchCluster, withCluster } from '../cluster.js';
import { sleep } from '../load.js';
import type { Result } from '../report.js';
import { processOf, shimMemory, shimsOf } from './memory.js';
import { podsGone, startPods } from './starts.js';

const PODS = 500;
/** Until what follows a start is done: statuses, images listed, garbage collected. */
const SETTLE_MS = 15_000;
const IDLE_MS = 30_000;

export function benchDensity(): Promise<Result[]> {
  const up = ['--max-pods', `${PODS + 50}`, '--node-cidr-mask-size', '22'];
  return withCluster({ up }, async (cluster) => {
    const { client } = cluster;
    const before = processOf(cluster, 'agent').cpu;
    const names = Array.from({ length: PODS }, (_, i) => `dense-${i}`);
    const { created, running } = await startPods(client, names);
    const all = (Math.max(...running.values()) - Math.min(...created.values())) / 1000;
    const agent = processOf(cluster, 'agent');
    const shims = shimMemory(cluster);
    await sleep(SETTLE_MS);
    const idle = await idleCpu(cluster);
    const removed = performance.now();
    await podsGone(client);
    return [
      { name: `${PODS} pods at once, all Running`, value: all, unit: 's' },
      { name: `${PODS} pods, CPU of the agent`, value: agent.cpu - before, unit: 's' },
      { name: `${PODS} pods, agent memory`, value: agent.resident, unit: 'MB' },
      shims,
      { name: 'CPU of an idle pod', value: idle, unit: 'ms/min' },
      { name: `${PODS} pods deleted, all gone`, value: (performance.now() - removed) / 1000, unit: 's' },
    ];
  });
}

/** Of server, agent and shims together, a pod and minute, in milliseconds. */
async function idleCpu(cluster: BenchCluster): Promise<number> {
  const used = () =>
    [processOf(cluster, 'server'), processOf(cluster, 'agent'), ...shimsOf(cluster)].reduce(
      (sum, { cpu }) => sum + cpu,
      0,
    );
  const before = used();
  await sleep(IDLE_MS);
  return ((used() - before) * 1000 * (60_000 / IDLE_MS)) / PODS;
}
