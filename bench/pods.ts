/** From the creation of a pod to its status Running. */
import type { Pod } from '#types';
import { pods } from '../src/api/resources/index.js';
import type { Client } from '../src/client/index.js';
import { shimMemory } from './memory.js';
import { quantile, type Result } from './report.js';

const manifest = (name: string): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: 'keelson.dev/demo:blue', command: ['/bin/sleep', '1000000'] }],
    },
  }) as Pod;

/** Resolves with the time (performance.now()) at which each named pod is seen Running. */
async function runningTimes(
  client: Client,
  names: Set<string>,
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for await (const { object } of client.of(pods).watch({ namespace: 'default', signal })) {
    const { name } = object.metadata;
    if (object.status?.phase !== 'Running' || !names.has(name) || times.has(name)) continue;
    times.set(name, performance.now());
    if (times.size === names.size) return times;
  }
  throw new Error(`Only ${times.size} of ${names.size} pods came up.`);
}

async function gone(client: Client): Promise<void> {
  await client.of(pods).deleteCollection({ namespace: 'default' });
  while ((await client.of(pods).list({ namespace: 'default' })).items.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

async function start(
  client: Client,
  names: string[],
): Promise<{ created: Map<string, number>; running: Map<string, number> }> {
  const signal = AbortSignal.timeout(120_000);
  const watching = runningTimes(client, new Set(names), signal);
  const created = new Map<string, number>();
  await Promise.all(
    names.map(async (name) => {
      created.set(name, performance.now());
      await client.of(pods).create(manifest(name));
    }),
  );
  return { created, running: await watching };
}

export async function benchPods(client: Client, crunMs: number | undefined): Promise<Result[]> {
  const single: number[] = [];
  for (let i = 0; i < 20; i++) {
    const name = `one-${i}`;
    const { created, running } = await start(client, [name]);
    single.push(running.get(name)! - created.get(name)!);
  }
  await gone(client);
  const names = Array.from({ length: 100 }, (_, i) => `many-${i}`);
  const { created, running } = await start(client, names);
  const all = (Math.max(...running.values()) - Math.min(...created.values())) / 1000;
  const memory = shimMemory();
  await gone(client);
  return [
    {
      name: 'pod create to Running, p50',
      value: quantile(single, 0.5),
      unit: 'ms',
      target: 100,
      ...(crunMs === undefined ? {} : { limit: { value: crunMs, of: 'crun starts the same container' } }),
    },
    { name: 'pod create to Running, p95', value: quantile(single, 0.95), unit: 'ms' },
    { name: '100 pods at once, all Running', value: all, unit: 's', target: 10 },
    ...memory,
  ];
}
