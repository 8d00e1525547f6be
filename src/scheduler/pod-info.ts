/** What the scheduler needs of a pod, computed once per version. */
import type { Container, Pod } from '#types';
import {
  aggregate,
  amounts,
  podRequests,
  type ResourceAmounts,
} from '../api/resources/core/podspec/amounts.js';

/** What scores count for a container that asks for nothing: 100 millicores and 200 MiB. */
const DEFAULT_CPU = 100;
const DEFAULT_MEMORY = 200 * 1024 * 1024;

export interface HostPort {
  protocol: string;
  ip: string;
  port: number;
}

export interface PodInfo {
  readonly pod: Pod;
  /** `namespace/name`. */
  readonly key: string;
  readonly uid: string;
  readonly priority: number;
  /** In millicores, bytes and counts. */
  readonly requests: ResourceAmounts;
  /** The same with defaults in place of zero, for the scores. */
  readonly scored: { cpu: number; memory: number };
  readonly hostPorts: HostPort[];
  /** The uid of its controller; '' when it has none. */
  readonly owner: string;
}

export function podInfo(pod: Pod): PodInfo {
  const requests = podRequests(pod, { useStatus: true });
  return {
    pod,
    key: `${pod.metadata.namespace}/${pod.metadata.name}`,
    uid: pod.metadata.uid ?? '',
    priority: pod.spec.priority ?? 0,
    requests,
    scored: scoredRequests(pod, requests),
    hostPorts: hostPorts(pod),
    owner: pod.metadata.ownerReferences?.find((ref) => ref.controller)?.uid ?? '',
  };
}

function scoredRequests(pod: Pod, requests: ResourceAmounts): { cpu: number; memory: number } {
  const containers: Container[] = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const complete = containers.every(({ resources }) => resources?.requests?.cpu && resources.requests.memory);
  if (complete || pod.spec.resources?.requests)
    return { cpu: requests['cpu'] ?? DEFAULT_CPU, memory: requests['memory'] ?? DEFAULT_MEMORY };
  const sums = aggregate(
    pod.spec,
    (container) => {
      const { cpu = DEFAULT_CPU, memory = DEFAULT_MEMORY } = amounts(container.resources?.requests);
      return { cpu, memory };
    },
    { add: (a, b) => a + b, max: Math.max },
  );
  const overhead = amounts(pod.spec.overhead);
  return {
    cpu: (sums['cpu'] ?? 0) + (overhead['cpu'] ?? 0),
    memory: (sums['memory'] ?? 0) + (overhead['memory'] ?? 0),
  };
}

/** Ports of containers, and of sidecars, that are taken on the node itself. */
function hostPorts(pod: Pod): HostPort[] {
  const sidecars = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  const ports: HostPort[] = [];
  for (const container of [...sidecars, ...pod.spec.containers])
    for (const { hostPort, hostIP, protocol } of container.ports ?? [])
      if (hostPort) ports.push({ protocol: protocol ?? 'TCP', ip: hostIP || '0.0.0.0', port: hostPort });
  return ports;
}
