/** Bytes per second between pods, beside two network namespaces joined by a veth pair. */
import type { Pod } from '#types';
import { pods, services } from '../../src/api/resources/index.js';
import { withCluster } from '../cluster.js';
import { until } from '../load.js';
import type { Result } from '../report.js';
import { background, inNetworkOf, output, podProcess, requireTools } from '../tools.js';
import { serviceOf, servingPods } from './targets.js';

const PORT = 5201;
const SECONDS = 3;

export async function benchThroughput(): Promise<Result[]> {
  requireTools(['iperf3', 'ip', 'nsenter'], { ip: 'iproute2', nsenter: 'util-linux' });
  const limit = { value: await plainVeth(), of: 'two namespaces, one veth pair' };
  const one = await withCluster({}, async ({ client }) => {
    const [from, to] = await servingPods(client, ['from', 'to']);
    await client.of(services).create(
      serviceOf('pair', {
        selector: { only: 'to' },
        ports: [{ port: PORT, targetPort: PORT, protocol: 'TCP' }],
      }),
    );
    await client.of(pods).patch('default', 'to', { metadata: { labels: { only: 'to' } } }, { type: 'merge' });
    const { spec } = await client.of(services).get('default', 'pair');
    return [
      { name: 'pod to pod', value: await between(from!, to!), unit: 'Gbit/s', limit },
      { name: 'pod to Service', value: await between(from!, to!, spec.clusterIP!), unit: 'Gbit/s', limit },
    ];
  });
  const two = await withCluster({ nodes: 2 }, async ({ client }) => {
    const [from] = await servingPods(client, ['from'], { nodeName: 'node-1' });
    const [to] = await servingPods(client, ['to'], { nodeName: 'node-2' });
    return [{ name: 'pod to pod of another node', value: await between(from!, to!), unit: 'Gbit/s', limit }];
  });
  return [...one, ...two];
}

const between = (from: Pod, to: Pod, address = to.status!.podIP!): Promise<number> =>
  measure(inNetworkOf(podProcess(from.metadata.uid!)), inNetworkOf(podProcess(to.metadata.uid!)), address);

async function plainVeth(): Promise<number> {
  const [a, b] = ['a', 'b'].map((end) => `keelson-bench-${process.pid}-${end}`) as [string, string];
  const ip = (...argv: string[]) => output('ip', ...argv);
  try {
    for (const name of [a, b]) await ip('netns', 'add', name);
    await ip('-n', a, 'link', 'add', 'one', 'type', 'veth', 'peer', 'name', 'one', 'netns', b);
    for (const [name, address] of [
      [a, '192.0.2.1/30'],
      [b, '192.0.2.2/30'],
    ] as const) {
      await ip('-n', name, 'address', 'add', address, 'dev', 'one');
      await ip('-n', name, 'link', 'set', 'one', 'up');
    }
    return await measure(['ip', 'netns', 'exec', a], ['ip', 'netns', 'exec', b], '192.0.2.2');
  } finally {
    for (const name of [a, b]) await ip('netns', 'delete', name).catch(() => undefined);
  }
}

/** Gbit/s of one TCP connection. */
async function measure(from: string[], to: string[], address: string): Promise<number> {
  const [server = '', ...serverArgv] = to;
  const listening = background(server, ...serverArgv, 'iperf3', '--server', '--port', `${PORT}`);
  try {
    const [client = '', ...clientArgv] = from;
    const argv = [...clientArgv, 'iperf3', '--client', address, '--port', `${PORT}`, '--json'];
    return await until('iperf3 connects', async () => {
      const text = await output(client, ...argv, '--time', `${SECONDS}`).catch(() => '{}');
      const bits = JSON.parse(text).end?.sum_received?.bits_per_second;
      return bits ? bits / 1e9 : undefined;
    });
  } finally {
    await listening.stop();
  }
}
