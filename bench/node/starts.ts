/** Pods of the demo image, and when they are seen Running. */
import type { Pod } from '#types';
import { pods } from '../../src/api/resources/index.js';
import type { Client } from '../../src/client/index.js';
import { until } from '../load.js';

export const IMAGE = 'keelson.dev/demo:blue';
const SLEEP = ['/bin/sleep', '1000000'];

export interface PodOptions {
  containers?: number;
  labels?: Record<string, string>;
  /** The image's own server when absent. */
  command?: string[] | undefined;
  nodeName?: string;
}

export function podOf(name: string, { containers = 1, labels, command = SLEEP, nodeName }: PodOptions): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', ...(labels ? { labels } : {}) },
    spec: {
      terminationGracePeriodSeconds: 0,
      ...(nodeName ? { nodeName } : {}),
      containers: Array.from({ length: containers }, (_, i) => ({
        ...{ name: `c${i}`, image: IMAGE },
        ...(command.length > 0 ? { command } : {}),
      })),
    },
  } as Pod;
}

/** Resolves with the time (performance.now()) at which each named pod is seen Running. */
async function runningTimes(
  client: Client,
  names: Set<string>,
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  for await (const { object } of client.of(pods).watch({ namespace: 'default', signal })) {
    const { name } = object.metadata;
    if (object.status?.phase !== 'Running' || !names.has(name) || seen.has(name)) continue;
    seen.set(name, performance.now());
    if (seen.size === names.size) return seen;
  }
  throw new Error(`Only ${seen.size} of ${names.size} pods came up.`);
}

/** Times of creation and of Running, in milliseconds, by name. */
export async function startPods(client: Client, names: string[], options: PodOptions = {}) {
  const watching = runningTimes(client, new Set(names), AbortSignal.timeout(180_000));
  const created = new Map<string, number>();
  await Promise.all(
    names.map(async (name) => {
      created.set(name, performance.now());
      await client.of(pods).create(podOf(name, options));
    }),
  );
  return { created, running: await watching };
}

/** Removes all pods of the namespace. */
export async function podsGone(client: Client): Promise<void> {
  await client.of(pods).deleteCollection({ namespace: 'default' });
  await until('the pods are gone', async () =>
    (await client.of(pods).list({ namespace: 'default' })).items.length === 0 ? true : undefined,
  );
}
