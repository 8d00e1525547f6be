/** Which pods a ReplicaSet deletes first (upstream `ActivePodsWithRanks`). */
import type { Pod } from '#types';
import { isPodReady, podCondition } from '../pods.js';

const PHASE_ORDER: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

/**
 * The `count` of `pods` to delete first. `related` are all pods of the same workload (those of sibling
 * ReplicaSets too): of two alike, the pod whose node has more of them goes first. `now` is in ms.
 */
export function podsToDelete(pods: Pod[], related: Pod[], count: number, now: number): Pod[] {
  if (count >= pods.length) return pods.slice();
  const perNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec.nodeName ?? '';
    if (node !== '') perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  const rank = (pod: Pod): number => perNode.get(pod.spec.nodeName ?? '') ?? 0;
  return pods.toSorted((a, b) => compareForDeletion(a, b, rank(a), rank(b), now)).slice(0, count);
}

/** Negative when `a` is deleted before `b`. Each rule decides only where those before it are equal. */
function compareForDeletion(a: Pod, b: Pod, rankA: number, rankB: number, now: number): number {
  return (
    Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)) ||
    phase(a) - phase(b) ||
    Number(isPodReady(a)) - Number(isPodReady(b)) ||
    deletionCost(a) - deletionCost(b) ||
    rankB - rankA ||
    (isPodReady(a) && isPodReady(b) ? compareAge(readySince(a), readySince(b), a, b, now) : 0) ||
    restarts(b) - restarts(a) ||
    compareAge(time(a.metadata.creationTimestamp), time(b.metadata.creationTimestamp), a, b, now)
  );
}

function phase(pod: Pod): number {
  return PHASE_ORDER[pod.status?.phase ?? 'Pending'] ?? 0;
}

function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.[DELETION_COST];
  return text !== undefined && /^(0|-?[1-9][0-9]*)$/.test(text) ? Number(text) : 0;
}

function readySince(pod: Pod): number {
  return time(podCondition(pod, 'Ready')?.lastTransitionTime);
}

function time(timestamp: string | undefined): number {
  return timestamp === undefined ? 0 : Date.parse(timestamp);
}

function restarts(pod: Pod): number {
  return Math.max(0, ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount));
}

/** Unknown before younger before older; ages of the same power of two are equal, and the uid decides. */
function compareAge(timeA: number, timeB: number, a: Pod, b: Pod, now: number): number {
  if (timeA === timeB) return 0;
  if (timeA === 0 || timeB === 0) return timeA - timeB;
  return (
    ageClass(timeA, now) - ageClass(timeB, now) || ((a.metadata.uid ?? '') < (b.metadata.uid ?? '') ? -1 : 1)
  );
}

function ageClass(time: number, now: number): number {
  const nanoseconds = (now - time) * 1e6;
  return nanoseconds > 0 ? Math.floor(Math.log2(nanoseconds)) : -1;
}
