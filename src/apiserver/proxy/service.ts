/** The way to a server behind a Service: of a webhook, or of another API server. */
import { connect, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Endpoint, EndpointSlice, Pod, Service } from '#types';
import { endpointSlices, pods, services } from '../../api/resources/index.js';
import { keyOf, prefixOf } from '../keys.js';
import { describeFailure } from './failures.js';
import { podBackend, type Reach } from './targets.js';

export interface ServiceReference {
  namespace: string;
  name: string;
  /** 443 when absent. */
  port?: number;
}

export const HTTPS_PORT = 443;
const SERVICE_NAME = 'kubernetes.io/service-name';
const CONNECT_MS = 10_000;

/** Opens a connection, which ends when `signal` aborts. Rejects in the words of Go. */
export type Dial = (signal: AbortSignal) => Promise<Duplex>;

export const findService = ({ store }: Reach, { namespace, name }: ServiceReference): Service | undefined =>
  store.get(keyOf(services, namespace, name))?.object as Service | undefined;

export async function slicesOf(
  { store }: Reach,
  { namespace, name }: ServiceReference,
): Promise<EndpointSlice[]> {
  const { items } = await store.list(prefixOf(endpointSlices, namespace));
  return items
    .map(({ object }) => object as EndpointSlice)
    .filter(({ metadata }) => metadata.labels?.[SERVICE_NAME] === name);
}

/**
 * To a ready endpoint of the Service, by chance: wherever the Service's own address is translated, endpoints are
 * reached directly; pods through the connection of their node's agent, which may be behind NAT. Throws Error in
 * upstream's words where there is none.
 */
export async function dialService(reach: Reach, reference: ServiceReference): Promise<Dial> {
  const { name, port = HTTPS_PORT } = reference;
  const service = findService(reach, reference);
  if (!service) throw new Error(`service ${JSON.stringify(name)} not found`);
  if (service.spec?.type === 'ExternalName') return dial(service.spec.externalName ?? '', port);
  const declared = service.spec?.ports?.find((each) => each.port === port);
  if (!declared) throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
  const choices = (await slicesOf(reach, reference)).flatMap((slice) => {
    const found = slice.ports?.find((each) => (each.name ?? '') === (declared.name ?? ''))?.port;
    const ready = (slice.endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
    return found === undefined ? [] : ready.map((endpoint) => ({ endpoint, port: found }));
  });
  const choice = choices[Math.floor(Math.random() * choices.length)];
  if (!choice) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
  return dialEndpoint(reach, reference.namespace, choice.endpoint, choice.port);
}

function dialEndpoint(
  reach: Reach,
  ofService: string,
  { addresses, targetRef: { kind, name = '', namespace = ofService } = {} }: Endpoint,
  port: number,
): Dial {
  const pod =
    kind === 'Pod' && reach.nodeStreams
      ? (reach.store.get(keyOf(pods, namespace, name))?.object as Pod | undefined)
      : undefined;
  return pod ? podBackend(reach, pod, port, 'https').connect : dial(addresses[0] ?? '', port);
}

const dial =
  (host: string, port: number): Dial =>
  (signal) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host, port, timeout: CONNECT_MS });
      const at = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
      const end = () => socket.destroy();
      signal.addEventListener('abort', end, { once: true });
      socket.once('close', () => signal.removeEventListener('abort', end));
      socket.once('timeout', () => socket.destroy(new Error(`dial tcp ${at}: i/o timeout`)));
      socket.once('error', (error) => reject(new Error(describeFailure(error, new URL(`https://${at}`)))));
      socket.once('connect', () => {
        socket.setTimeout(0);
        resolve(socket);
      });
    });
