/** What creating and updating a Service makes of its addresses and ports (upstream `registry/core/service`). */
import type { Service, ServicePort } from '#types';
import { isHeadless, needsHealthCheck } from './service-spec.js';

/** `clusterIP` and `clusterIPs` are two forms of one list. */
export function prepareForCreate(service: Service): void {
  service.status = { loadBalancer: {} };
  const { spec } = service;
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  if (spec.clusterIPs?.length === 0) delete spec.clusterIPs;
  defaultFamilies(service);
}

/** The IP families of a single-stack (IPv4) cluster, unless the service says otherwise (KEP-563). */
function defaultFamilies(service: Service): void {
  const { spec } = service;
  if (spec.type === 'ExternalName') return;
  const given = (spec.clusterIPs ?? []).filter((ip) => ip !== 'None');
  if (isHeadless(service) && !spec.selector) {
    // Whoever writes such a service's endpoints may give addresses of either family.
    spec.ipFamilyPolicy ??= 'RequireDualStack';
    spec.ipFamilies ??= spec.ipFamilyPolicy === 'SingleStack' ? ['IPv4'] : ['IPv4', 'IPv6'];
    return;
  }
  spec.ipFamilyPolicy ??= 'SingleStack';
  if (!spec.ipFamilies?.length)
    spec.ipFamilies = given.length > 0 ? given.map((ip) => (ip.includes(':') ? 'IPv6' : 'IPv4')) : ['IPv4'];
}

/** What the client left out stays as it was, so that a manifest can be replaced without the allocated values. */
export function prepareForUpdate(service: Service, old: Service): void {
  const { spec } = service;
  const before = old.spec;
  if (spec.type === 'ExternalName') {
    if (before.type !== 'ExternalName') dropAllocated(service, old);
    return;
  }
  if (before.type !== 'ExternalName') keepClusterIps(service, old);
  else if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  const mayHaveNodePorts = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  if (mayHaveNodePorts && (before.type === 'NodePort' || before.type === 'LoadBalancer'))
    keepNodePorts(spec.ports ?? [], before.ports ?? []);
  if (!mayHaveNodePorts) releaseNodePorts(service, old);
  if (needsHealthCheck(service) && needsHealthCheck(old))
    spec.healthCheckNodePort ||= before.healthCheckNodePort;
  if (!needsHealthCheck(service) && spec.healthCheckNodePort === before.healthCheckNodePort)
    delete spec.healthCheckNodePort;
  defaultFamilies(service);
}

function keepClusterIps({ spec }: Service, { spec: before }: Service): void {
  const changed =
    spec.clusterIP !== undefined && spec.clusterIP !== '' && spec.clusterIP !== before.clusterIP;
  if (!spec.clusterIP && !spec.clusterIPs?.length) {
    if (before.clusterIP) spec.clusterIP = before.clusterIP;
    if (before.clusterIPs) spec.clusterIPs = [...before.clusterIPs];
  } else if (changed && JSON.stringify(spec.clusterIPs) === JSON.stringify(before.clusterIPs))
    spec.clusterIPs = [spec.clusterIP!];
  else if (!spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP!];
  else spec.clusterIP ||= spec.clusterIPs[0];
  spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
  if (!spec.ipFamilies?.length && before.ipFamilies) spec.ipFamilies = [...before.ipFamilies];
}

function keepNodePorts(ports: ServicePort[], before: ServicePort[]): void {
  const used = new Set(ports.map((port) => `${port.protocol}/${port.nodePort}`));
  for (const port of ports) {
    if (port.nodePort) continue;
    const old = before.find((p) => p.port === port.port && p.protocol === port.protocol);
    if (!old?.nodePort || used.has(`${port.protocol}/${old.nodePort}`)) continue;
    port.nodePort = old.nodePort;
    used.add(`${port.protocol}/${old.nodePort}`);
  }
}

/** A service that becomes internal loses the node ports that it still carries from before. */
function releaseNodePorts({ spec }: Service, { spec: before }: Service): void {
  if (before.type === spec.type) return;
  for (const [i, port] of (spec.ports ?? []).entries())
    if (port.nodePort && port.nodePort === before.ports?.[i]?.nodePort) delete port.nodePort;
  if (spec.externalTrafficPolicy === before.externalTrafficPolicy && !spec.externalIPs?.length)
    delete spec.externalTrafficPolicy;
  if (spec.allocateLoadBalancerNodePorts === before.allocateLoadBalancerNodePorts)
    delete spec.allocateLoadBalancerNodePorts;
}

function dropAllocated(service: Service, old: Service): void {
  const { spec } = service;
  const before = old.spec;
  if (spec.clusterIP === before.clusterIP) delete spec.clusterIP;
  for (const field of ['clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const)
    if (JSON.stringify(spec[field]) === JSON.stringify(before[field])) delete spec[field];
  releaseNodePorts(service, old);
}
