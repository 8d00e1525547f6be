/** From the creation of a pod to its status Running. */
import type { Client } from '../../src/client/index.js';
import { withCluster } from '../cluster.js';
import { quantile, type Result } from '../report.js';
import { crunStart } from './crun.js';
import { shimMemory } from './memory.js';
import { podsGone, startPods } from './starts.js';

export function benchPods(): Promise<Result[]> {
  return withCluster({}, async (cluster) => {
    const { client } = cluster;
    const rows = [...(await single(client, 1)), ...(await single(client, 5))];
    const names = Array.from({ length: 100 }, (_, i) => `many-${i}`);
    const { created, running } = await startPods(client, names);
    const all = (Math.max(...running.values()) - Math.min(...created.values())) / 1000;
    return [
      ...rows,
      { name: '100 pods at once, all Running', value: all, unit: 's', target: 10 },
      shimMemory(cluster),
    ];
  });
}

/** Pods with so many containers, one after the other. */
async function single(client: Client, containers: number): Promise<Result[]> {
  const taken: number[] = [];
  for (let i = 0; i < 20; i++) {
    const name = `one-${i}`;
    const { created, running } = await startPods(client, [name], { containers });
    taken.push(running.get(name)! - created.get(name)!);
  }
  await podsGone(client);
  const crun = await crunStart(containers);
  const what = `pod of ${containers} container${containers > 1 ? 's' : ''}, create to Running`;
  return [
    {
      name: `${what}, p50`,
      value: quantile(taken, 0.5),
      unit: 'ms',
      ...(containers === 1 ? { target: 100 } : {}),
      ...(crun === undefined ? {} : { limit: { value: crun, of: 'crun starts the same' } }),
    },
    { name: `${what}, p99`, value: quantile(taken, 0.99), unit: 'ms' },
  ];
}
