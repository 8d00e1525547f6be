/** Which endpoints serve a Service's port on a node, from its EndpointSlices. */
import type { Endpoint, EndpointSlice } from '#types';
import type { IpFamily } from '../../api/machinery/prefix.js';

/** Where the proxy runs. */
export interface NodeFacts {
  name: string;
  /** Its label `topology.kubernetes.io/zone`. */
  zone?: string | undefined;
}

export interface Backend {
  /** `10.244.0.5 . 8080`. */
  at: string;
  address: string;
  local: boolean;
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  hints: Endpoint['hints'];
}

/** Every endpoint of one port, each once; slices of other address types and ports of other names do not count. */
export function backendsOf(
  slices: EndpointSlice[],
  port: { name?: string; protocol?: string },
  node: NodeFacts,
  family: IpFamily,
): Backend[] {
  const found = new Map<string, Backend>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    for (const { name, protocol, port: number } of slice.ports ?? []) {
      if ((name ?? '') !== (port.name ?? '') || !number) continue;
      if ((protocol ?? 'TCP') !== (port.protocol ?? 'TCP')) continue;
      for (const endpoint of slice.endpoints ?? []) {
        const backend = backendOf(endpoint, number, node);
        // An endpoint that moves between slices is in two for a while; the better news counts.
        if (backend && !(found.get(backend.at)?.ready ?? false)) found.set(backend.at, backend);
      }
    }
  }
  return [...found.values()];
}

/** Of an endpoint's addresses only the first counts, as upstream. */
function backendOf(endpoint: Endpoint, port: number, node: NodeFacts): Backend | undefined {
  const address = endpoint.addresses[0];
  if (!address) return undefined;
  const { ready, serving, terminating } = endpoint.conditions ?? {};
  return {
    at: `${address} . ${port}`,
    address,
    local: endpoint.nodeName === node.name,
    ready: ready ?? true,
    serving: serving ?? ready ?? true,
    terminating: terminating ?? false,
    hints: endpoint.hints,
  };
}

/**
 * Those that get new connections: the ready ones, or if there is none those that still serve while they end.
 * @see https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1669-proxy-terminating-endpoints
 */
export function usable(backends: Backend[]): Backend[] {
  const ready = backends.filter((backend) => backend.ready);
  return ready.length > 0 ? ready : backends.filter(({ serving, terminating }) => serving && terminating);
}

/**
 * Those that are meant for this node or its zone, if all have such hints; else all.
 * @see https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-distribution
 */
export function near(backends: Backend[], node: NodeFacts): Backend[] {
  const meantFor = (kind: 'forNodes' | 'forZones', name: string | undefined) => {
    const all = backends.length > 0 && backends.every(({ hints }) => (hints?.[kind]?.length ?? 0) > 0);
    if (!all || !name) return [];
    return backends.filter(({ hints }) => hints?.[kind]?.some((hint) => hint.name === name));
  };
  const byNode = meantFor('forNodes', node.name);
  if (byNode.length > 0) return byNode;
  const byZone = meantFor('forZones', node.zone);
  return byZone.length > 0 ? byZone : backends;
}
