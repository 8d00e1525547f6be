/** What the scheduler needs of a pod, computed once per version. */
import type { Container, Pod } from '#types';
import { podRequests, type ResourceAmounts } from '../api/resources/core/podspec/amounts.js';

/** What scores count for a container that asks for nothing. */
const DEFAULT_REQUESTS = { cpu: '100m', memory: '200Mi' };

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
  const { containers, initContainers = [] } = pod.spec;
  const complete = [...containers, ...initContainers].every(isComplete);
  const { cpu = 0, memory = 0 } = complete
    ? requests
    : podRequests({
        ...pod,
        spec: {
          ...pod.spec,
          containers: containers.map(withDefaults),
          initContainers: initContainers.map(withDefaults),
        },
      });
  return { cpu, memory };
}

function isComplete({ resources }: Container): boolean {
  return resources?.requests?.['cpu'] !== undefined && resources.requests['memory'] !== undefined;
}

function withDefaults(container: Container): Container {
  if (isComplete(container)) return container;
  const requests = { ...DEFAULT_REQUESTS, ...container.resources?.requests };
  return { ...container, resources: { ...container.resources, requests } };
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
