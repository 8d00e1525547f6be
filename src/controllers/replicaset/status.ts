/** The status of a ReplicaSet, computed from its pods (upstream `calculateStatus`). */
import type { Pod, ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { labelSelector } from '../../api/machinery/selectors.js';
import { availableAt, isPodAvailable, isPodReady, nonZero } from '../pods.js';

export interface Replicas {
  active: Pod[];
  /** Undefined where they are not counted. */
  terminating: Pod[] | undefined;
  /** What kept the controller from creating or deleting pods. */
  error?: unknown;
}

export function replicaSetStatus(rs: ReplicaSet, replicas: Replicas, now: number): ReplicaSetStatus {
  const { active } = replicas;
  const minReadySeconds = rs.spec.minReadySeconds ?? 0;
  const template = labelSelector({ matchLabels: rs.spec.template?.metadata?.labels ?? {} });
  const ready = active.filter(isPodReady);
  const conditions = withFailure(rs, replicas, now);
  return {
    replicas: active.length,
    ...nonZero({
      fullyLabeledReplicas: active.filter((pod) => template.matches(pod.metadata.labels ?? {})).length,
      readyReplicas: ready.length,
      availableReplicas: ready.filter((pod) => isPodAvailable(pod, minReadySeconds, now)).length,
      observedGeneration: rs.metadata.generation ?? 0,
    }),
    ...(replicas.terminating ? { terminatingReplicas: replicas.terminating.length } : {}),
    ...(conditions.length > 0 ? { conditions } : {}),
  };
}

/** The conditions, with ReplicaFailure set while pods cannot be created or deleted, else without it. */
function withFailure(rs: ReplicaSet, { active, error }: Replicas, now: number): ReplicaSetCondition[] {
  const conditions = rs.status?.conditions ?? [];
  const existing = conditions.find((c) => c.type === 'ReplicaFailure');
  if (error === undefined) return conditions.filter((c) => c !== existing);
  if (existing !== undefined) return conditions;
  const missing = active.length < (rs.spec.replicas ?? 1);
  return [
    ...conditions,
    {
      type: 'ReplicaFailure',
      status: 'True',
      reason: missing ? 'FailedCreate' : 'FailedDelete',
      message: error instanceof Error ? error.message : String(error),
      lastTransitionTime: timestamp(now),
    },
  ];
}

const COUNTS = [
  'replicas',
  'fullyLabeledReplicas',
  'readyReplicas',
  'availableReplicas',
  'observedGeneration',
] as const;

/** Whether writing `next` would change nothing. */
export function sameStatus(current: ReplicaSetStatus | undefined, next: ReplicaSetStatus): boolean {
  // Missing is not 0 here: what adds up the ReplicaSets of a Deployment must know that it was counted.
  if (current?.terminatingReplicas !== next.terminatingReplicas) return false;
  if (COUNTS.some((field) => (current?.[field] ?? 0) !== (next[field] ?? 0))) return false;
  return JSON.stringify(current?.conditions ?? []) === JSON.stringify(next.conditions ?? []);
}

/** In how many ms the next ready pod becomes available; undefined when none is waiting. */
export function nextAvailability(pods: Pod[], minReadySeconds: number, now: number): number | undefined {
  let next: number | undefined;
  for (const pod of pods) {
    const at = availableAt(pod, minReadySeconds);
    if (at !== undefined && at > now && (next === undefined || at < next)) next = at;
  }
  return next === undefined ? undefined : next - now;
}
