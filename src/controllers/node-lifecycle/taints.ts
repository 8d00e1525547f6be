/** Which taints a node gets for its conditions (upstream `node_lifecycle_controller.go`). Pure. */
import type { Node, NodeCondition, Taint } from '#types';

export const NOT_READY = 'node.kubernetes.io/not-ready';
export const UNREACHABLE = 'node.kubernetes.io/unreachable';
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';

const PRESSURES: Record<string, string> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
  NetworkUnavailable: 'node.kubernetes.io/network-unavailable',
};

/** All `key:effect` that this controller adds and removes. */
const MANAGED = new Set([
  ...[NOT_READY, UNREACHABLE, UNSCHEDULABLE, ...Object.values(PRESSURES)].map((key) => `${key}:NoSchedule`),
  `${NOT_READY}:NoExecute`,
  `${UNREACHABLE}:NoExecute`,
]);

export function nodeCondition(node: Node, type: string): NodeCondition | undefined {
  return node.status?.conditions?.find((c) => c.type === type);
}

export function isNodeReady(node: Node): boolean {
  return nodeCondition(node, 'Ready')?.status === 'True';
}

/** The taint key for the node's readiness; undefined when it is ready. */
export function readinessTaint(node: Node): string | undefined {
  const status = nodeCondition(node, 'Ready')?.status;
  if (status === 'True') return undefined;
  return status === 'Unknown' ? UNREACHABLE : NOT_READY;
}

export function hasNoExecute(node: Node): boolean {
  return node.spec.taints?.some((taint) => taint.effect === 'NoExecute' && isManaged(taint)) === true;
}

function isManaged({ key, effect }: Taint): boolean {
  return MANAGED.has(`${key}:${effect}`);
}

/**
 * The taints of a node: those of others as they are, and what its conditions ask for. `evict`: whether an
 * unready node gets NoExecute too. Returns undefined when nothing changes.
 */
export function taintsFor(node: Node, evict: boolean, timeAdded: string): Taint[] | undefined {
  const current = node.spec.taints ?? [];
  const wanted = wantedTaints(node, evict);
  const isCurrent = (taint: Taint) =>
    current.some(({ key, effect }) => key === taint.key && effect === taint.effect);
  const kept = current.filter(
    (taint) =>
      !isManaged(taint) || wanted.some(({ key, effect }) => key === taint.key && effect === taint.effect),
  );
  const added = wanted.filter((taint) => !isCurrent(taint)).map((taint) => ({ ...taint, timeAdded }));
  return added.length === 0 && kept.length === current.length ? undefined : [...kept, ...added];
}

function wantedTaints(node: Node, evict: boolean): Taint[] {
  const keys: string[] = [];
  const readiness = readinessTaint(node);
  if (readiness !== undefined) keys.push(readiness);
  for (const [type, key] of Object.entries(PRESSURES))
    if (nodeCondition(node, type)?.status === 'True') keys.push(key);
  if (node.spec.unschedulable) keys.push(UNSCHEDULABLE);
  const taints: Taint[] = keys.map((key) => ({ key, effect: 'NoSchedule' }));
  if (readiness !== undefined && evict) taints.push({ key: readiness, effect: 'NoExecute' });
  return taints;
}
