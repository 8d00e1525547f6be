/** How many pods of a PodDisruptionBudget may be disrupted: pure (upstream `disruption.go`). */
import type { Condition, Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { sameJson } from '../../api/machinery/validation.js';
import { scaledValue } from '../deployment/arithmetic.js';
import { isPodReady } from '../pods.js';

/** So long an evicted pod counts as gone although it is still there. */
const DELETION_TIMEOUT = 2 * 60_000;
const CONDITION = 'DisruptionAllowed';

export interface Expected {
  expectedPods: number;
  desiredHealthy: number;
}

/** Whether the numbers follow from the sizes of the workloads, not from the pods alone. */
export const needsScale = ({ spec }: PodDisruptionBudget): boolean =>
  spec?.maxUnavailable !== undefined || typeof spec?.minAvailable === 'string';

/** `scale` is what the workloads of the pods ask for in all; it matters only if `needsScale`. */
export function expectedPods({ spec = {} }: PodDisruptionBudget, podCount: number, scale: number): Expected {
  const { maxUnavailable, minAvailable } = spec;
  if (maxUnavailable !== undefined)
    return {
      expectedPods: scale,
      desiredHealthy: Math.max(0, scale - scaledValue(maxUnavailable, scale, true)),
    };
  if (typeof minAvailable === 'string')
    return { expectedPods: scale, desiredHealthy: scaledValue(minAvailable, scale, true) };
  return { expectedPods: podCount, desiredHealthy: minAvailable ?? 0 };
}

export interface Disrupted {
  /** Evicted pods that are not gone yet, with the time of their eviction. */
  kept: Record<string, string>;
  /** Those that should be gone by now: their eviction no longer counts. */
  overdue: Pod[];
  /** In how many ms the next one is overdue. */
  recheck: number | undefined;
}

export function stillDisrupted(budget: PodDisruptionBudget, pods: Pod[], now: number): Disrupted {
  const result: Disrupted = { kept: {}, overdue: [], recheck: undefined };
  for (const pod of pods) {
    const time = budget.status?.disruptedPods?.[pod.metadata.name];
    if (time === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
    const left = Date.parse(time) + DELETION_TIMEOUT - now;
    if (left < 0) {
      result.overdue.push(pod);
      continue;
    }
    result.kept[pod.metadata.name] = time;
    result.recheck = Math.min(result.recheck ?? left, left);
  }
  return result;
}

/** The next status, with its condition. */
export function budgetStatus(
  budget: PodDisruptionBudget,
  pods: Pod[],
  expected: Expected,
  disrupted: Record<string, string>,
  now: number,
): PodDisruptionBudgetStatus {
  const healthy = pods.filter(
    (pod) =>
      pod.metadata.deletionTimestamp === undefined &&
      disrupted[pod.metadata.name] === undefined &&
      isPodReady(pod),
  ).length;
  const allowed = expected.expectedPods <= 0 ? 0 : Math.max(0, healthy - expected.desiredHealthy);
  return {
    ...(Object.keys(disrupted).length > 0 ? { disruptedPods: disrupted } : {}),
    disruptionsAllowed: allowed,
    currentHealthy: healthy,
    ...expected,
    observedGeneration: budget.metadata.generation ?? 0,
    conditions: withCondition(
      budget,
      allowed > 0
        ? { status: 'True', reason: 'SufficientPods', message: '' }
        : { status: 'False', reason: 'InsufficientPods', message: '' },
      now,
    ),
  };
}

/** Nothing is known, so nothing is allowed. */
export function failedStatus(
  budget: PodDisruptionBudget,
  error: unknown,
  now: number,
): PodDisruptionBudgetStatus {
  const message = error instanceof Error ? error.message : String(error);
  return {
    currentHealthy: 0,
    desiredHealthy: 0,
    expectedPods: 0,
    ...budget.status,
    disruptionsAllowed: 0,
    observedGeneration: budget.metadata.generation ?? 0,
    conditions: withCondition(budget, { status: 'False', reason: 'SyncFailed', message }, now),
  };
}

function withCondition(
  { status, metadata }: PodDisruptionBudget,
  change: Pick<Condition, 'status' | 'reason' | 'message'>,
  now: number,
): Condition[] {
  const conditions = status?.conditions ?? [];
  const old = conditions.find(({ type }) => type === CONDITION);
  const next: Condition = {
    type: CONDITION,
    ...change,
    observedGeneration: metadata.generation ?? 0,
    lastTransitionTime: old?.status === change.status ? old.lastTransitionTime : timestamp(now),
  };
  return old ? conditions.map((condition) => (condition === old ? next : condition)) : [...conditions, next];
}

export const sameBudgetStatus = (
  current: PodDisruptionBudgetStatus | undefined,
  next: PodDisruptionBudgetStatus,
): boolean => sameJson(current, next);
