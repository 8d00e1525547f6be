/** Which endpoints a Service has, by the ports at which they are reached. Pure. */
import type { DiscoveryV1EndpointPort, Endpoint, EndpointSlice, Node, Pod, Service } from '#types';
import type { IpFamily } from '../../api/machinery/prefix.js';
import { isPodReady } from '../pods.js';
import { familiesOf, hostnameIn, podIp, targetPort } from './service-pods.js';

/** Endpoints that share their family and ports can share slices. */
export interface Group {
  addressType: string;
  ports: DiscoveryV1EndpointPort[];
  endpoints: Endpoint[];
}

const ZONE = 'topology.kubernetes.io/zone';

/** Groups by `groupKey`, of each of the Service's families. `pods` are those that may be endpoints; pods with the same address count once. */
export function desiredGroups(
  service: Service,
  pods: Pod[],
  node: (name: string) => Node | undefined,
): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const family of familiesOf(service)) addFamily(groups, family, service, pods, node);
  return groups;
}

function addFamily(
  groups: Map<string, Group>,
  addressType: IpFamily,
  service: Service,
  pods: Pod[],
  node: (name: string) => Node | undefined,
): void {
  const addresses = new Set<string>();
  for (const pod of pods) {
    const ip = podIp(pod, addressType);
    if (!ip) continue;
    const { nodeName } = pod.spec;
    const host = nodeName ? node(nodeName) : undefined;
    // A pod of a node that is gone is about to go too.
    if (nodeName && !host && !service.spec.publishNotReadyAddresses) continue;
    const ports = portsOf(service, pod);
    const key = groupKey({ addressType, ports });
    const group = groups.get(key) ?? emptyGroup(addressType, ports);
    groups.set(key, group);
    const endpoint = endpointOf(service, pod, ip, host);
    const unique = `${key} ${endpointKey(endpoint)}`;
    if (!addresses.has(unique)) group.endpoints.push(endpoint);
    addresses.add(unique);
  }
  // One empty slice says that there is nothing.
  if (addresses.size > 0) return;
  const none = emptyGroup(addressType);
  groups.set(groupKey(none), none);
}

const emptyGroup = (addressType: string, ports: Group['ports'] = []): Group => ({
  addressType,
  ports,
  endpoints: [],
});

/** Same family and ports, same key, whatever their order. */
export function groupKey({ addressType, ports }: Pick<EndpointSlice, 'addressType' | 'ports'>): string {
  const keys = (ports ?? []).map(({ name, protocol, port, appProtocol }) =>
    JSON.stringify([name ?? '', protocol, port, appProtocol]),
  );
  return `${addressType} ${keys.sort().join()}`;
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

function endpointOf(service: Service, pod: Pod, ip: string, node: Node | undefined): Endpoint {
  const { namespace, name, uid, deletionTimestamp } = pod.metadata;
  const serving = isPodReady(pod);
  const terminating = deletionTimestamp !== undefined;
  // Never ready while it terminates, unless the service wants all addresses.
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const zone = node?.metadata.labels?.[ZONE];
  const hostname = hostnameIn(pod, service);
  const hints = hintsFor(service, pod.spec.nodeName, zone);
  return {
    addresses: [ip],
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
