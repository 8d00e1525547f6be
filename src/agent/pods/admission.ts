/** Whether a node takes a pod that was bound to it (kubelet `lifecycle/predicate`): the scheduler may not have been asked. */
import type { Node, Pod, PodStatus } from '#types';
import { matchesNode } from '../../api/machinery/node-selector.js';
import { quantityMilli, quantityValue } from '../../api/machinery/quantity.js';
import { tolerated } from '../../api/machinery/taints.js';
import { isCritical, podRequest, qosClass } from './resources.js';

export interface Rejection {
  reason: string;
  message: string;
}

/** Of a pod that the node has refused; nothing of it has been. */
export const rejectedStatus = (pod: Pod, { reason, message }: Rejection, startTime: string): PodStatus => ({
  phase: 'Failed',
  reason,
  message: `Pod was rejected: ${message}`,
  startTime,
  qosClass: qosClass(pod),
});

/** `others`: the pods that the node has taken and that have not ended. Undefined: it takes the pod. */
export function admit(
  pod: Pod,
  node: Node | undefined,
  allocatable: Record<string, string>,
  others: Pod[],
): Rejection | undefined {
  if (pod.spec.os && pod.spec.os.name !== 'linux')
    return {
      reason: 'PodOSNotSupported',
      message: "Failed to admit pod as the OS field doesn't match node OS",
    };
  const insufficient = fits(pod, allocatable, others);
  if (insufficient) return insufficient;
  // What has run here already is not turned out because the node's labels or taints are others now.
  const known = pod.status?.startTime !== undefined;
  if (node && !known && !matchesNode(pod.spec, node))
    return predicate('NodeAffinity', "node(s) didn't match Pod's node affinity/selector");
  const taken = others.flatMap(hostPorts);
  if (hostPorts(pod).some((port) => taken.some((other) => clash(port, other))))
    return predicate('NodePorts', "node(s) didn't have free ports for the requested pod ports");
  const taints = node?.spec?.taints?.filter(({ effect }) => effect === 'NoExecute') ?? [];
  if (!known && taints.some((taint) => !tolerated(pod.spec.tolerations, taint)))
    return predicate('TaintToleration', "node(s) had taints that the pod didn't tolerate");
  return undefined;
}

/** Whether a node takes pods at all. */
export function admitAtShutdown(isShuttingDown: boolean): Rejection | undefined {
  if (!isShuttingDown) return undefined;
  return { reason: 'NodeShutdown', message: 'Pod was rejected as the node is shutting down.' };
}

/** Whether a node that is short of something takes a pod (kubelet's eviction manager). `pressures`: its conditions. */
export function admitUnderPressure(pod: Pod, pressures: Iterable<string>): Rejection | undefined {
  const all = [...pressures];
  if (all.length === 0 || isCritical(pod)) return undefined;
  const taint = { key: 'node.kubernetes.io/memory-pressure', effect: 'NoSchedule' };
  const isFine = qosClass(pod) !== 'BestEffort' || tolerated(pod.spec.tolerations, taint);
  if (all.length === 1 && all[0] === 'MemoryPressure' && isFine) return undefined;
  return { reason: 'Evicted', message: `The node had condition: [${all.join(' ')}]. ` };
}

/** Why a pod can't have the resources that it asks for now: never on this node, or not yet. */
export interface ResizeRefusal {
  reason: 'Infeasible' | 'Deferred';
  message: string;
}

/** `others` without the pod itself; `whole`: what the node could give at all. */
export function admitResize(
  pod: Pod,
  allocatable: Record<string, string>,
  whole: Record<string, string>,
  others: Pod[],
): ResizeRefusal | undefined {
  for (const name of ['memory', 'cpu']) {
    const value = name === 'cpu' ? quantityMilli : quantityValue;
    const [requested, capacity] = [podRequest(pod, name, value), value(whole[name])];
    if (requested > capacity)
      return {
        reason: 'Infeasible',
        message: `Node didn't have enough capacity: ${name}, requested: ${requested}, capacity: ${capacity}`,
      };
  }
  const { cpu, memory } = allocatable;
  const insufficient = fits(pod, { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}) }, others);
  return insufficient && { reason: 'Deferred', message: insufficient.message };
}

const predicate = (name: string, why: string): Rejection => ({
  reason: name,
  message: `Predicate ${name} failed: ${why}`,
});

function fits(pod: Pod, allocatable: Record<string, string>, others: Pod[]): Rejection | undefined {
  const insufficient = (name: string, requested: number, used: number, capacity: number) => ({
    reason: `OutOf${name}`,
    message: `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  });
  for (const [name, amount] of [['pods', allocatable['pods']], ...Object.entries(allocatable)]) {
    if (amount === undefined) continue;
    const value = name === 'cpu' ? quantityMilli : quantityValue;
    const of = (one: Pod) => (name === 'pods' ? 1 : podRequest(one, name!, value));
    const requested = of(pod);
    if (requested === 0) continue;
    const used = others.reduce((sum, other) => sum + of(other), 0);
    if (used + requested > value(amount)) return insufficient(name!, requested, used, value(amount));
  }
  return undefined;
}

interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

function hostPorts({ spec }: Pod): HostPort[] {
  const sidecars = (spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  return [...spec.containers, ...sidecars].flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, hostIP, protocol }) =>
      hostPort ? [{ ip: hostIP || '0.0.0.0', protocol: protocol ?? 'TCP', port: hostPort }] : [],
    ),
  );
}

const clash = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port &&
  a.protocol === b.protocol &&
  (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0');
