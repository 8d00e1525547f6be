/** The subsets of an Endpoints object. Pure (upstream `endpoints.RepackSubsets`). */
import type { EndpointAddress, EndpointPort, EndpointSubset, Pod, Service } from '#types';
import { addressBytes } from '../../api/machinery/prefix.js';
import { familiesOf, hostnameIn, isHeadless, podIp, targetPort } from '../endpoint-slice/service-pods.js';
import { isPodReady } from '../pods.js';

/** More than this many addresses are cut off. */
export const MAX_ADDRESSES = 1000;

/** `pods`: those that may be endpoints. Addresses are of the Service's first family, as upstream's. */
export function subsetsOf(service: Service, pods: Pod[]): EndpointSubset[] {
  const found: { ports: EndpointPort[]; address: EndpointAddress; ready: boolean }[] = [];
  const [family] = familiesOf(service);
  for (const pod of pods) {
    const ip = podIp(pod, family!);
    if (!ip) continue;
    const address = addressOf(service, pod, ip);
    const ready = service.spec.publishNotReadyAddresses === true || isPodReady(pod);
    const ports = (service.spec.ports ?? []).flatMap((port) => {
      const number = targetPort(pod, port);
      if (number === undefined) return [];
      return {
        ...(port.name ? { name: port.name } : {}),
        port: number,
        protocol: port.protocol ?? 'TCP',
        ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
      };
    });
    const mayLackPorts = isHeadless(service) && !service.spec.ports?.length;
    if (ports.length > 0 || mayLackPorts) found.push({ ports, address, ready });
  }
  return pack(found);
}

function addressOf(service: Service, pod: Pod, ip: string): EndpointAddress {
  const { namespace, name, uid } = pod.metadata;
  const hostname = hostnameIn(pod, service);
  return {
    ip,
    ...(hostname ? { hostname } : {}),
    ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    targetRef: { kind: 'Pod', ...(namespace ? { namespace } : {}), name, ...(uid ? { uid } : {}) },
  };
}

/** Addresses with the same ports share a subset; each is in order, so that nothing changes without need. */
function pack(
  found: { ports: EndpointPort[]; address: EndpointAddress; ready: boolean }[],
): EndpointSubset[] {
  const byPorts = new Map<string, EndpointSubset>();
  for (const { ports, address, ready } of found) {
    const sorted = [...ports].sort((a, b) => compare(JSON.stringify(a), JSON.stringify(b)));
    const key = JSON.stringify(sorted);
    const subset = byPorts.get(key) ?? (ports.length > 0 ? { ports: sorted } : {});
    byPorts.set(key, subset);
    const list = ready ? 'addresses' : 'notReadyAddresses';
    subset[list] = [...(subset[list] ?? []), address];
  }
  for (const subset of byPorts.values()) {
    subset.addresses?.sort(byAddress);
    subset.notReadyAddresses?.sort(byAddress);
  }
  return [...byPorts.entries()].sort(([a], [b]) => compare(a, b)).map(([, subset]) => subset);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const byAddress = (a: EndpointAddress, b: EndpointAddress): number =>
  compare(sortable(a.ip), sortable(b.ip)) || compare(a.targetRef?.uid ?? '', b.targetRef?.uid ?? '');

const sortable = (ip: string): string => addressBytes(ip).toString('hex');

/** At most `MAX_ADDRESSES`, ready ones first; `cut` tells whether some are missing. */
export function truncate(subsets: EndpointSubset[]): { subsets: EndpointSubset[]; cut: boolean } {
  const count = (list: 'addresses' | 'notReadyAddresses') =>
    subsets.reduce((sum, subset) => sum + (subset[list]?.length ?? 0), 0);
  if (count('addresses') + count('notReadyAddresses') <= MAX_ADDRESSES) return { subsets, cut: false };
  let room = MAX_ADDRESSES;
  const take = <T>(list: T[] | undefined): T[] => {
    const taken = (list ?? []).slice(0, room);
    room -= taken.length;
    return taken;
  };
  const ready = subsets.map(({ addresses }) => take(addresses));
  const others = subsets.map(({ notReadyAddresses }) => take(notReadyAddresses));
  const kept = subsets.map(({ ports }, i) => ({
    ...(ready[i]!.length > 0 ? { addresses: ready[i]! } : {}),
    ...(others[i]!.length > 0 ? { notReadyAddresses: others[i]! } : {}),
    ...(ports ? { ports } : {}),
  }));
  return { subsets: kept.filter((s) => s.addresses || s.notReadyAddresses), cut: true };
}
