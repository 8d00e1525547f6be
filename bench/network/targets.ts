/** Services and endpoints to measure with. */
import type { EndpointSlice, Pod, Service } from '#types';
import { pods } from '../../src/api/resources/index.js';
import type { Client } from '../../src/client/index.js';
import { until } from '../load.js';
import { type PodOptions, startPods } from '../node/starts.js';

/** The demo image's server. */
export const PORT = 8080;
/** The image's own command. */
const SERVER: string[] = [];

/** Pods that serve HTTP, ready. */
export async function servingPods(client: Client, names: string[], options: PodOptions = {}): Promise<Pod[]> {
  await startPods(client, names, { command: SERVER, ...options });
  return Promise.all(
    names.map((name) =>
      until(`pod ${name} is ready`, async () => {
        const pod = await client.of(pods).get('default', name);
        const ready = pod.status?.conditions?.some(
          ({ type, status }) => type === 'Ready' && status === 'True',
        );
        return ready && pod.status?.podIP ? pod : undefined;
      }),
    ),
  );
}

export const serviceOf = (name: string, spec: Partial<Service['spec']> = {}): Service =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { ports: [{ port: 80, targetPort: PORT, protocol: 'TCP' }], ...spec },
  }) as Service;

/** Endpoints made by hand, of a Service without selector. */
export const sliceOf = (service: string, addresses: string[]): EndpointSlice =>
  ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service}-1`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: 'IPv4',
    ports: [{ name: '', port: PORT, protocol: 'TCP' }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  }) as unknown as EndpointSlice;
