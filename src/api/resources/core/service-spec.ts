/** What Services are, and their defaults. */
import type { Service, ServicePort } from '#types';
import { dropUnset } from '../unset.js';

/** Whether the service reaches beyond the cluster, so that its external traffic needs a policy. */
export const isExternallyAccessible = ({ spec }: Service): boolean =>
  spec.type === 'LoadBalancer' ||
  spec.type === 'NodePort' ||
  (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0);

export const isHeadless = ({ spec }: Service): boolean =>
  spec.clusterIPs?.length === 1 && spec.clusterIPs[0] === 'None';

/** Whether a load balancer asks the nodes which of them have endpoints. */
export const needsHealthCheck = ({ spec }: Service): boolean =>
  spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';

const DEFAULT_AFFINITY_SECONDS = 3 * 60 * 60;

const VALUES = [
  'clusterIP',
  'externalName',
  'externalTrafficPolicy',
  'healthCheckNodePort',
  'loadBalancerIP',
  'publishNotReadyAddresses',
] as const;

export function defaultService(service: Service): void {
  service.spec ??= {};
  const { spec } = service;
  dropUnset(spec, VALUES);
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (
    spec.sessionAffinity === 'ClientIP' &&
    spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined
  )
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: DEFAULT_AFFINITY_SECONDS } };
  spec.type ||= 'ClusterIP';
  for (const port of spec.ports ?? []) defaultPort(port);
  if (isExternallyAccessible(service)) spec.externalTrafficPolicy ||= 'Cluster';
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') {
    spec.allocateLoadBalancerNodePorts ??= true;
    for (const ingress of service.status?.loadBalancer?.ingress ?? [])
      if (ingress.ip) ingress.ipMode ??= 'VIP';
  }
}

function defaultPort(port: ServicePort): void {
  port.protocol ||= 'TCP';
  if (!port.targetPort) port.targetPort = port.port;
  dropUnset(port, ['nodePort', 'name']);
}
