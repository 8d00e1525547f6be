/** From an Endpoints object that somebody made by hand to groups for slices. Pure (upstream `endpointslicemirroring`). */
import type { Endpoint, EndpointAddress, Endpoints, Service } from '#types';
import { familyOf } from '../../api/machinery/prefix.js';
import { type Group, groupKey } from '../endpoint-slice/desired.js';
import { LABEL, TRIGGER_TIME } from '../endpoint-slice/service-pods.js';

/** More addresses of one subset are cut off. */
const MAX_PER_SUBSET = 1000;
const LEADER = 'control-plane.alpha.kubernetes.io/leader';
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Mirrored is what belongs to a Service without selector, and does not say no. */
export function shouldMirror(
  endpoints: Endpoints | undefined,
  service: Service | undefined,
): endpoints is Endpoints {
  if (endpoints === undefined || service === undefined || service.spec.selector !== undefined) return false;
  const { labels, annotations, deletionTimestamp } = endpoints.metadata;
  return deletionTimestamp === undefined && labels?.[LABEL.skipMirror] !== 'true' && !annotations?.[LEADER];
}

export function mirroredGroups({ subsets }: Endpoints): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const subset of subsets ?? []) {
    const ports = (subset.ports ?? []).map(({ name, ...port }) => ({ ...port, name: name ?? '' }));
    const ready = (subset.addresses ?? []).map((address) => endpointOf(address, true));
    const others = (subset.notReadyAddresses ?? []).map((address) => endpointOf(address, false));
    for (const endpoint of [...ready, ...others].slice(0, MAX_PER_SUBSET)) {
      const addressType = familyOf(endpoint.addresses[0]!);
      const key = groupKey({ addressType, ports });
      const group = groups.get(key) ?? { addressType, ports, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push(endpoint);
    }
  }
  return groups;
}

const endpointOf = ({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint => ({
  addresses: [ip],
  conditions: { ready },
  ...(targetRef ? { targetRef } : {}),
  ...(hostname ? { hostname } : {}),
  ...(nodeName ? { nodeName } : {}),
});

/** All but what says something of the Endpoints object itself. */
export function mirroredAnnotations({ metadata }: Endpoints): Record<string, string> {
  const { [LAST_APPLIED]: _, [TRIGGER_TIME]: __, ...annotations } = metadata.annotations ?? {};
  return annotations;
}
