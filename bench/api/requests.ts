/** The API over TLS on loopback. */
import { setMaxListeners } from 'node:events';
import type { ConfigMap } from '#types';
import { configMaps } from '../../src/api/resources/index.js';
import { Client, type HttpsTransportOptions, httpsTransport } from '../../src/client/index.js';
import { withCluster } from '../cluster.js';
import { rate, sleep, times } from '../load.js';
import { quantile, type Result } from '../report.js';
import { levelBatches } from './level.js';

const COUNT = 10_000;
const CONCURRENCY = 64;

const configMap = (name: string): ConfigMap =>
  ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default', labels: { bench: 'yes' } },
    data: { text: 'x'.repeat(200) },
  }) as ConfigMap;

/** Milliseconds from the answer of an update to its event at the last of `watchers`. */
async function watchLatency(
  options: HttpsTransportOptions,
  client: Client,
  watchers: number,
): Promise<number> {
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  const transport = httpsTransport(options);
  const { metadata } = await client.of(configMaps).list({ namespace: 'default', limit: 1 });
  let seen = 0;
  let resolveAll: () => void = () => undefined;
  const loops = Array.from({ length: watchers }, async () => {
    const events = new Client(transport).of(configMaps).watch({
      namespace: 'default',
      resourceVersion: metadata.resourceVersion,
      signal: abort.signal,
    });
    try {
      for await (const _ of events) if (++seen === watchers) resolveAll();
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    }
  });
  await sleep(1000);
  const latencies: number[] = [];
  for (let i = 0; i < 20; i++) {
    seen = 0;
    const all = new Promise<void>((resolve) => {
      resolveAll = resolve;
    });
    const started = performance.now();
    await client.of(configMaps).patch('default', 'bench-0', { data: { i: `${i}` } }, { type: 'merge' });
    await all;
    latencies.push(performance.now() - started);
  }
  abort.abort();
  await Promise.all(loops);
  await transport.close();
  return quantile(latencies, 0.5);
}

export function benchRequests(): Promise<Result[]> {
  return withCluster({}, async ({ client, api: options }) => {
    const levelRate = await levelBatches();
    const api = client.of(configMaps);
    const creates = await rate(COUNT, CONCURRENCY, (i) => api.create(configMap(`bench-${i}`)));
    const gets = await rate(COUNT, CONCURRENCY, (i) => api.get('default', `bench-${i}`));
    const lists = await times(5, () => api.list({ namespace: 'default' }));
    const one = await watchLatency(options, client, 1);
    const many = await watchLatency(options, client, 500);
    return [
      {
        name: 'creates, durable, 64 at a time',
        value: creates,
        unit: '/s',
        limit: { value: levelRate, of: 'raw LevelDB synced batches, one at a time' },
      },
      { name: 'gets, 64 at a time', value: gets, unit: '/s' },
      { name: 'list of 10,000 ConfigMaps', value: quantile(lists, 0.5), unit: 'ms' },
      { name: 'update to event, 1 watcher', value: one, unit: 'ms' },
      { name: 'update to last event, 500 watchers', value: many, unit: 'ms' },
    ];
  });
}
