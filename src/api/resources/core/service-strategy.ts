/** What creating and updating a Service makes of its addresses and ports (upstream `registry/core/service`). */
import type { Service, ServicePort } from '#types';
import { isExternallyAccessible, needsHealthCheck } from './service-spec.js';

/** `clusterIP` and `clusterIPs` are two forms of one list. */
export function prepareForCreate(service: Service): void {
  service.status = { loadBalancer: {} };
  const { spec } = service;
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  if (spec.clusterIPs?.length === 0) delete spec.clusterIPs;
}

const needsClusterIp = ({ spec }: Service): boolean => spec.type !== 'ExternalName';
const needsNodePorts = ({ spec }: Service): boolean =>
  spec.type === 'NodePort' || spec.type === 'LoadBalancer';

export function prepareForUpdate(service: Service, old: Service): void {
  keepAllocated(service, old);
  dropUnneeded(service, old);
  dropSecondFamily(service, old);
}

/** What the client left out stays as it was, so that a manifest can be replaced without the allocated values. */
function keepAllocated(service: Service, old: Service): void {
  const { spec } = service;
  if (needsClusterIp(service) && needsClusterIp(old)) keepClusterIps(service, old);
  else if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  if (needsNodePorts(service) && needsNodePorts(old)) keepNodePorts(spec.ports ?? [], old.spec.ports ?? []);
  if (needsHealthCheck(service) && needsHealthCheck(old))
    spec.healthCheckNodePort ||= old.spec.healthCheckNodePort;
}

function keepClusterIps({ spec }: Service, { spec: before }: Service): void {
  const changed =
    spec.clusterIP !== undefined && spec.clusterIP !== '' && spec.clusterIP !== before.clusterIP;
  if (!spec.clusterIP && !spec.clusterIPs?.length) {
    if (before.clusterIP) spec.clusterIP = before.clusterIP;
    if (before.clusterIPs) spec.clusterIPs = [...before.clusterIPs];
  } else if (changed && JSON.stringify(spec.clusterIPs) === JSON.stringify(before.clusterIPs))
    spec.clusterIPs = [spec.clusterIP!];
  else if (!spec.clusterIPs?.length)
    spec.clusterIPs = changed ? [spec.clusterIP!] : [...(before.clusterIPs ?? [spec.clusterIP!])];
  else spec.clusterIP ||= spec.clusterIPs[0];
}

/** A port keeps its node port by its name, unless another port has taken it over. */
function keepNodePorts(ports: ServicePort[], before: ServicePort[]): void {
  const used = new Set(ports.map((port) => port.nodePort));
  for (const port of ports) {
    if (port.nodePort) continue;
    const old = before.find((p) => (p.name ?? '') === (port.name ?? ''));
    if (old?.nodePort && !used.has(old.nodePort)) port.nodePort = old.nodePort;
  }
}

/**
 * What the new type has no use for goes, as long as the client did not change it as well: that would be a mistake to
 * tell of.
 */
function dropUnneeded(service: Service, old: Service): void {
  const { spec } = service;
  const before = old.spec;
  const drop = (...fields: (keyof typeof spec)[]) => {
    for (const field of fields)
      if (JSON.stringify(spec[field]) === JSON.stringify(before[field])) delete spec[field];
  };
  const no = (needs: (service: Service) => boolean) => needs(old) && !needs(service);
  if (no(needsClusterIp)) {
    if (JSON.stringify(spec.clusterIPs) === JSON.stringify(before.clusterIPs)) delete spec.clusterIP;
    drop('clusterIPs', 'ipFamilies', 'ipFamilyPolicy');
  }
  if (no(needsNodePorts)) {
    const nodePorts = (ports: ServicePort[] = []) => [...new Set(ports.map((p) => p.nodePort ?? 0))].sort();
    if (`${nodePorts(spec.ports)}` === `${nodePorts(before.ports)}`)
      for (const port of spec.ports ?? []) delete port.nodePort;
  }
  if (no(needsHealthCheck)) drop('healthCheckNodePort');
  if (no((s) => s.spec.type === 'LoadBalancer')) drop('allocateLoadBalancerNodePorts', 'loadBalancerClass');
  if (no(isExternallyAccessible)) drop('externalTrafficPolicy');
}

/** Going back to one family needs no more than its policy. */
function dropSecondFamily({ spec }: Service, { spec: before }: Service): void {
  const wasDual = before.ipFamilyPolicy === 'RequireDualStack' || before.ipFamilyPolicy === 'PreferDualStack';
  if (!wasDual || spec.ipFamilyPolicy !== 'SingleStack') return;
  if ((spec.clusterIPs?.length ?? 0) > 1) spec.clusterIPs = spec.clusterIPs!.slice(0, 1);
  if ((spec.ipFamilies?.length ?? 0) > 1) spec.ipFamilies = spec.ipFamilies!.slice(0, 1);
}
