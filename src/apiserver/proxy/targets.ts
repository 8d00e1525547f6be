/** From the name in a proxy request to the pod, Service endpoint or node that it means (`ResourceLocation` upstream). */
import { isIP } from 'node:net';
import type { EndpointAddress, Endpoints, Node, Pod, Service } from '#types';
import { badRequest, notFound, serviceUnavailable } from '../../api/machinery/status.js';
import { endpoints, nodes, pods, services } from '../../api/resources/index.js';
import type { NodeStreams } from '../../hub/node-streams.js';
import type { Store } from '../../store/store.js';
import { keyOf } from '../keys.js';
import type { Backend } from './backend.js';

export interface Reach {
  store: Store;
  nodeStreams: NodeStreams | undefined;
}

interface Parts {
  scheme: Backend['scheme'];
  name: string;
  port: string;
}

/** `[scheme:]name[:port]`. Throws 400 in upstream's words. */
export function splitName(kind: string, id: string): Parts {
  const parts = id.split(':');
  const [scheme, name, port] =
    parts.length === 3 ? parts : parts.length === 2 ? ['', ...parts] : ['', parts[0], ''];
  if (parts.length > 3 || !name || (scheme !== '' && scheme !== 'http' && scheme !== 'https'))
    throw badRequest(`invalid ${kind} request ${JSON.stringify(id)}`);
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port: port ?? '' };
}

function find<T>({ store }: Reach, resource: typeof pods | any, namespace: string, name: string): T {
  const found = store.get(keyOf(resource, namespace, name))?.object as T | undefined;
  if (!found) throw notFound({ group: '', resource: resource.plural }, name);
  return found;
}

const streamsOf = ({ nodeStreams }: Reach): NodeStreams => {
  if (!nodeStreams) throw serviceUnavailable('no connection to the nodes');
  return nodeStreams;
};

const hostPort = (address: string, port: string | number): string =>
  `${isIP(address) === 6 ? `[${address}]` : address}${port === '' ? '' : `:${port}`}`;

/** A connection to a port of a pod, at its own address. */
export function podBackend(reach: Reach, pod: Pod, port: number, scheme: Backend['scheme']): Backend {
  const { namespace = '', name = '', uid = '' } = pod.metadata;
  const address = pod.status?.podIP ?? '';
  const node = pod.spec.nodeName ?? '';
  return {
    scheme,
    host: hostPort(address, port),
    connect: async (signal) =>
      streamsOf(reach).portForward(node, { namespace, pod: name, uid, port, address }, signal),
  };
}

export function podTarget(reach: Reach, namespace: string, id: string): Backend {
  const { scheme, name, port } = splitName('pod', id);
  const pod = find<Pod>(reach, pods, namespace, name);
  const declared = pod.spec.containers.find((c) => c.ports?.length)?.ports?.[0]?.containerPort;
  const number = port === '' ? (declared ?? (scheme === 'https' ? 443 : 80)) : Number(port);
  if (isIP(pod.status?.podIP ?? '') === 0) throw badRequest('address not allowed');
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    throw serviceUnavailable(`error trying to reach service: dial tcp: lookup tcp/${port}: unknown port`);
  return podBackend(reach, pod, number, scheme);
}

export function serviceTarget(reach: Reach, namespace: string, id: string): Backend {
  const { scheme, name, port } = splitName('service', id);
  const backend = serviceBackend(reach, namespace, name, port, scheme);
  if (!backend) throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(id)}`);
  return backend;
}

/** An endpoint of a Service that is a pod, by chance; `port` is a name or a number. Undefined: there is none. */
export function serviceBackend(
  reach: Reach,
  namespace: string,
  name: string,
  port: string,
  scheme: Backend['scheme'],
): Backend | undefined {
  const wanted = portName(reach, namespace, name, port);
  const { subsets = [] } = find<Endpoints>(reach, endpoints, namespace, name);
  if (subsets.length === 0)
    throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(name)}`);
  const choices = subsets.flatMap(({ addresses = [], ports = [] }) => {
    const found = ports.find((p) => (p.name ?? '') === wanted);
    return found ? addresses.map((address) => ({ address, port: found.port })) : [];
  });
  const start = Math.floor(Math.random() * choices.length);
  for (let i = 0; i < choices.length; i++) {
    const { address, port: number } = choices[(start + i) % choices.length]!;
    const pod = podOf(reach, namespace, address);
    if (pod) return podBackend(reach, pod, number, scheme);
  }
  return undefined;
}

function portName(reach: Reach, namespace: string, name: string, port: string): string {
  if (!/^[+-]?\d+$/.test(port)) return port;
  const { spec } = find<Service>(reach, services, namespace, name);
  const found = spec?.ports?.find((p) => p.port === Number(port));
  if (!found)
    throw serviceUnavailable(`no service port ${Number(port)} found for service ${JSON.stringify(name)}`);
  return found.name ?? '';
}

/** Requests go to pods alone, and to those whose address it still is. */
function podOf({ store }: Reach, namespace: string, { ip, targetRef }: EndpointAddress): Pod | undefined {
  if (targetRef?.kind !== 'Pod' || (targetRef.namespace ?? namespace) !== namespace) return undefined;
  const pod = store.get(keyOf(pods, namespace, targetRef.name ?? ''))?.object as Pod | undefined;
  const own = [pod?.status?.podIP, ...(pod?.status?.podIPs ?? []).map((p) => p.ip)];
  return own.includes(ip) ? pod : undefined;
}

export function nodeTarget(reach: Reach, id: string): Backend {
  const { scheme, name, port } = splitName('node', id);
  const node = find<Node>(reach, nodes, '', name);
  const own = node.status?.daemonEndpoints?.kubeletEndpoint?.Port || 10_250;
  const address = node.status?.addresses?.find((a) => a.type === 'InternalIP')?.address ?? name;
  const number = port === '' ? own : Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    throw badRequest(`invalid node request ${JSON.stringify(id)}`);
  const kubelet = number === own;
  return {
    // The way to the agent is safe already.
    scheme: kubelet ? 'http' : scheme,
    host: hostPort(address, number),
    connect: async (signal) => streamsOf(reach).kubelet(name, kubelet ? {} : { port: number }, signal),
  };
}
