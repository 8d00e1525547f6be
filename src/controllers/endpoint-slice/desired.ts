/** Which endpoints a Service has, by the ports at which they are reached. Pure. */
import type { DiscoveryV1EndpointPort, Endpoint, Node, Pod, Service } from '#types';
import { isPodReady } from '../pods.js';
import { hostnameIn, podIp, targetPort } from './service-pods.js';

/** Endpoints that share their ports can share slices. */
export interface Group {
  ports: DiscoveryV1EndpointPort[];
  endpoints: Endpoint[];
}

const ZONE = 'topology.kubernetes.io/zone';

/** Groups by `portsKey`. `pods` are those that may be endpoints; pods with the same address count once. */
export function desiredGroups(
  service: Service,
  pods: Pod[],
  node: (name: string) => Node | undefined,
): Map<string, Group> {
  const groups = new Map<string, Group>();
  const addresses = new Set<string>();
  for (const pod of pods) {
    const { nodeName } = pod.spec;
    const host = nodeName ? node(nodeName) : undefined;
    // A pod of a node that is gone is about to go too.
    if (nodeName && !host && !service.spec.publishNotReadyAddresses) continue;
    const ports = portsOf(service, pod);
    const key = portsKey(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    groups.set(key, group);
    const endpoint = endpointOf(service, pod, host);
    const unique = `${key} ${endpointKey(endpoint)}`;
    if (!addresses.has(unique)) group.endpoints.push(endpoint);
    addresses.add(unique);
  }
  return groups;
}

/** Same ports, same key, whatever their order. */
export function portsKey(ports: DiscoveryV1EndpointPort[] | undefined): string {
  return (ports ?? [])
    .map(({ name, protocol, port, appProtocol }) => JSON.stringify([name ?? '', protocol, port, appProtocol]))
    .sort()
    .join();
}

/** What makes an endpoint the same one: upstream compares addresses and target. */
export function endpointKey({ addresses, targetRef }: Endpoint): string {
  return `${addresses.join()} ${targetRef?.uid ?? ''}`;
}

/** A port that the pod does not have by name is left out. */
function portsOf(service: Service, pod: Pod): DiscoveryV1EndpointPort[] {
  const ports: DiscoveryV1EndpointPort[] = [];
  for (const port of service.spec.ports ?? []) {
    const number = targetPort(pod, port);
    if (number === undefined) continue;
    ports.push({
      name: port.name ?? '',
      port: number,
      protocol: port.protocol ?? 'TCP',
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    });
  }
  return ports;
}

export function endpointOf(service: Service, pod: Pod, node: Node | undefined): Endpoint {
  const { namespace, name, uid, deletionTimestamp } = pod.metadata;
  const serving = isPodReady(pod);
  const terminating = deletionTimestamp !== undefined;
  // Never ready while it terminates, unless the service wants all addresses.
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const zone = node?.metadata.labels?.[ZONE];
  const hostname = hostnameIn(pod, service);
  const hints = hintsFor(service, pod.spec.nodeName, zone);
  return {
    addresses: [podIp(pod)!],
    conditions: { ready, serving, terminating },
    targetRef: { kind: 'Pod', ...(namespace ? { namespace } : {}), name, ...(uid ? { uid } : {}) },
    ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    ...(zone ? { zone } : {}),
    ...(hostname ? { hostname } : {}),
    ...(hints && ready ? { hints } : {}),
  };
}

/** @see https://kubernetes.io/docs/concepts/services-networking/service/#traffic-distribution */
function hintsFor({ spec }: Service, node: string | undefined, zone: string | undefined): Endpoint['hints'] {
  const policy = spec.trafficDistribution;
  if (policy === undefined || policy === '') return undefined;
  const forZones = zone ? { forZones: [{ name: zone }] } : {};
  const forNodes = policy === 'PreferSameNode' && node ? { forNodes: [{ name: node }] } : {};
  const hints = { ...forZones, ...forNodes };
  return Object.keys(hints).length > 0 ? hints : undefined;
}
