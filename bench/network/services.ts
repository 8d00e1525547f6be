/** What a Service costs, beside ten others and beside five thousand. */

import { endpointSlices, services } from '../../src/api/resources/index.js';
import type { Client } from '../../src/client/index.js';
import { withCluster } from '../cluster.js';
import { rate, sleep, times } from '../load.js';
import { processOf } from '../node/memory.js';
import { quantile, type Result } from '../report.js';
import { connects, firstConnection } from './connect.js';
import { serviceOf, servingPods, sliceOf } from './targets.js';

const FEW = 10;
const MANY = 5_000;
const ENDPOINTS = 10;
const CONCURRENCY = 64;
const CHANGES = 30;
const CONNECTIONS = 2_000;

export function benchServices(): Promise<Result[]> {
  return withCluster({}, async (cluster) => {
    const { client } = cluster;
    const [pod] = await servingPods(client, ['server'], { labels: { app: 'server' } });
    const address = pod!.status!.podIP!;
    await fill(client, 0, FEW);
    await settle(client, address);
    const few = await measure(client, address, FEW);
    const cpu = () => processOf(cluster, 'agent').cpu;
    const [started, before] = [performance.now(), cpu()];
    await fill(client, FEW, MANY);
    const written = performance.now() - started;
    await settle(client, address);
    const programmed = performance.now() - started;
    const used = cpu() - before;
    const many = await measure(client, address, MANY);
    return [
      ...few,
      { name: `${MANY} Services of ${ENDPOINTS} endpoints, written`, value: written / 1000, unit: 's' },
      { name: `${MANY} Services, last one reachable after that`, value: programmed - written, unit: 'ms' },
      { name: `${MANY} Services, CPU of the agent`, value: used, unit: 's' },
      ...many,
      { name: `agent memory, ${MANY} Services`, value: processOf(cluster, 'agent').resident, unit: 'MB' },
      { name: `server memory, ${MANY} Services`, value: processOf(cluster, 'server').resident, unit: 'MB' },
    ];
  });
}

/** Endpoints that nobody has: they are never connected to. */
const nobody = (i: number) =>
  Array.from(
    { length: ENDPOINTS },
    (_, j) => `10.${100 + (i >> 12)}.${(i >> 4) & 255}.${(i & 15) * 16 + j + 1}`,
  );

async function fill(client: Client, from: number, to: number): Promise<void> {
  await rate(to - from, CONCURRENCY, async (i) => {
    const name = `filler-${from + i}`;
    await client.of(services).create(serviceOf(name));
    await client.of(endpointSlices).create(sliceOf(name, nobody(from + i)));
  });
}

/** Resolves when one that is made now is reachable. */
async function settle(client: Client, address: string): Promise<void> {
  const name = `settled-${Date.now()}`;
  const { spec } = await client.of(services).create(serviceOf(name));
  await client.of(endpointSlices).create(sliceOf(name, [address]));
  await firstConnection(spec.clusterIP!, 80, performance.now());
}

async function measure(client: Client, address: string, count: number): Promise<Result[]> {
  const beside = `beside ${count}`;
  const first: number[] = [];
  const creates: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const started = performance.now();
    const service = serviceOf(`first-${count}-${i}`, { selector: { app: 'server' }, type: 'NodePort' });
    const { spec } = await client.of(services).create(service);
    creates.push(performance.now() - started);
    first.push(await firstConnection(spec.clusterIP!, 80, started));
  }
  const changed = await changes(client, address, `changed-${count}`);
  const { spec } = await client.of(services).get('default', `changed-${count}`);
  const taken = await times(CONNECTIONS, () => connects(spec.clusterIP!, 80));
  const direct = await times(CONNECTIONS, () => connects(address, 8080));
  return [
    { name: `Service created, ${beside}`, value: quantile(creates, 0.5), unit: 'ms' },
    {
      name: `Service created to first connection, ${beside}`,
      value: quantile(first, 0.5),
      unit: 'ms',
      target: 50,
    },
    { name: `change of an endpoint to connection, ${beside}`, value: quantile(changed, 0.5), unit: 'ms' },
    {
      name: `connection by a Service, p50, ${beside}`,
      value: quantile(taken, 0.5),
      unit: 'ms',
      limit: { value: quantile(direct, 0.5), of: 'to the pod itself' },
    },
    {
      name: `connection by a Service, p99, ${beside}`,
      value: quantile(taken, 0.99),
      unit: 'ms',
      limit: { value: quantile(direct, 0.99), of: 'to the pod itself' },
    },
  ];
}

/** Milliseconds from the write that gives a Service its only endpoint to the first connection. */
async function changes(client: Client, address: string, name: string): Promise<number[]> {
  const { spec } = await client.of(services).create(serviceOf(name));
  await client.of(endpointSlices).create(sliceOf(name, []));
  const taken: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const write = (addresses: string[]) =>
      client.of(endpointSlices).patch('default', `${name}-1`, sliceOf(name, addresses), { type: 'merge' });
    await write([]);
    while ((await connects(spec.clusterIP!, 80, 50)) !== undefined) await sleep(5);
    const started = performance.now();
    await write([address]);
    taken.push(await firstConnection(spec.clusterIP!, 80, started));
  }
  return taken;
}
