/** Status and conditions of a Deployment (upstream `deployment_util.go`, `progress.go`). */
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { nonZero } from '../pods.js';
import { maxUnavailable, replicasOf, specReplicas, statusReplicas } from './arithmetic.js';

const NO_LIMIT = 2 ** 31 - 1;

export function hasProgressDeadline(d: Deployment): boolean {
  return d.spec.progressDeadlineSeconds !== undefined && d.spec.progressDeadlineSeconds !== NO_LIMIT;
}

export function hasHistoryLimit(d: Deployment): boolean {
  return d.spec.revisionHistoryLimit !== undefined && d.spec.revisionHistoryLimit !== NO_LIMIT;
}

export function condition(
  status: DeploymentStatus | undefined,
  type: string,
): DeploymentCondition | undefined {
  return status?.conditions?.find((c) => c.type === type);
}

export function newCondition(
  type: string,
  status: string,
  reason: string,
  message: string,
  now: number,
): DeploymentCondition {
  const at = timestamp(now);
  return { type, status, lastUpdateTime: at, lastTransitionTime: at, reason, message };
}

/** The conditions with `next` in place of that of its type; unchanged while status and reason stay. */
export function withCondition(
  conditions: DeploymentCondition[],
  next: DeploymentCondition,
): DeploymentCondition[] {
  const current = conditions.find((c) => c.type === next.type);
  if (current?.status === next.status && current.reason === next.reason) return conditions;
  const lastTransitionTime =
    current?.status === next.status ? current.lastTransitionTime : next.lastTransitionTime;
  return [...withoutCondition(conditions, next.type), { ...next, lastTransitionTime }];
}

export function withoutCondition(conditions: DeploymentCondition[], type: string): DeploymentCondition[] {
  return conditions.filter((c) => c.type !== type);
}

/** The counts and the Available condition. */
export function deploymentStatus(
  d: Deployment,
  all: ReplicaSet[],
  newSet: ReplicaSet | undefined,
  now: number,
): DeploymentStatus {
  const availableReplicas = statusReplicas(all, 'availableReplicas');
  const enough = availableReplicas >= replicasOf(d) - maxUnavailable(d);
  const available = enough
    ? newCondition(
        'Available',
        'True',
        'MinimumReplicasAvailable',
        'Deployment has minimum availability.',
        now,
      )
    : newCondition(
        'Available',
        'False',
        'MinimumReplicasUnavailable',
        'Deployment does not have minimum availability.',
        now,
      );
  return {
    ...nonZero({
      observedGeneration: d.metadata.generation ?? 0,
      replicas: statusReplicas(all, 'replicas'),
      updatedReplicas: newSet?.status?.replicas ?? 0,
      readyReplicas: statusReplicas(all, 'readyReplicas'),
      availableReplicas,
      unavailableReplicas: Math.max(0, specReplicas(all) - availableReplicas),
    }),
    ...terminating(all),
    ...(d.status?.collisionCount === undefined ? {} : { collisionCount: d.status.collisionCount }),
    conditions: withCondition(d.status?.conditions ?? [], available),
  };
}

/** Unknown (absent) until every ReplicaSet has counted. */
function terminating(all: ReplicaSet[]): { terminatingReplicas?: number } {
  let sum = 0;
  for (const rs of all) {
    if (rs.status?.terminatingReplicas === undefined) return {};
    sum += rs.status.terminatingReplicas;
  }
  return { terminatingReplicas: sum };
}

/** Whether all replicas are of the new template, available, and none of the old are left. */
export function isComplete(d: Deployment, status: DeploymentStatus): boolean {
  const wanted = replicasOf(d);
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (d.metadata.generation ?? 0)
  );
}

function isProgressing(d: Deployment, next: DeploymentStatus): boolean {
  const old = d.status ?? {};
  const count = (
    status: DeploymentStatus,
    field: 'updatedReplicas' | 'readyReplicas' | 'availableReplicas',
  ) => status[field] ?? 0;
  const oldPods = (status: DeploymentStatus) => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    count(next, 'updatedReplicas') > count(old, 'updatedReplicas') ||
    oldPods(next) < oldPods(old) ||
    count(next, 'readyReplicas') > count(old, 'readyReplicas') ||
    count(next, 'availableReplicas') > count(old, 'availableReplicas')
  );
}

/** When (ms) a rollout that does not move has failed. */
function deadline(d: Deployment, progressing: DeploymentCondition): number {
  return Date.parse(progressing.lastUpdateTime ?? '') + (d.spec.progressDeadlineSeconds ?? 0) * 1000;
}

function isTimedOut(d: Deployment, status: DeploymentStatus, now: number): boolean {
  const progressing = condition(status, 'Progressing');
  if (progressing === undefined || progressing.reason === 'NewReplicaSetAvailable') return false;
  return progressing.reason === 'ProgressDeadlineExceeded' || deadline(d, progressing) < now;
}

/** The status of a rollout: `deploymentStatus` with Progressing and ReplicaFailure. */
export function rolloutStatus(
  d: Deployment,
  all: ReplicaSet[],
  newSet: ReplicaSet | undefined,
  now: number,
): DeploymentStatus {
  const status = deploymentStatus(d, all, newSet, now);
  const progressed = { ...status, conditions: progressConditions(d, status, newSet, now) };
  const failure = replicaFailure(all, newSet);
  return {
    ...progressed,
    conditions: failure
      ? withCondition(progressed.conditions, failure)
      : withoutCondition(progressed.conditions, 'ReplicaFailure'),
  };
}

function progressConditions(
  d: Deployment,
  status: DeploymentStatus,
  newSet: ReplicaSet | undefined,
  now: number,
): DeploymentCondition[] {
  const conditions = status.conditions ?? [];
  if (!hasProgressDeadline(d)) return withoutCondition(conditions, 'Progressing');
  const current = condition(d.status, 'Progressing');
  const finished = status.replicas === status.updatedReplicas && current?.reason === 'NewReplicaSetAvailable';
  if (finished) return conditions;
  const subject = newSet ? `ReplicaSet "${newSet.metadata.name}"` : `Deployment "${d.metadata.name}"`;
  if (isComplete(d, status)) {
    const message = `${subject} has successfully progressed.`;
    return withCondition(
      conditions,
      newCondition('Progressing', 'True', 'NewReplicaSetAvailable', message, now),
    );
  }
  if (isProgressing(d, status)) {
    // Renewed even if it says the same, because the deadline counts from its last update.
    const next = newCondition('Progressing', 'True', 'ReplicaSetUpdated', `${subject} is progressing.`, now);
    if (current?.status === 'True') next.lastTransitionTime = current.lastTransitionTime;
    return [...withoutCondition(conditions, 'Progressing'), next];
  }
  if (isTimedOut(d, status, now)) {
    const message = `${subject} has timed out progressing.`;
    return withCondition(
      conditions,
      newCondition('Progressing', 'False', 'ProgressDeadlineExceeded', message, now),
    );
  }
  return conditions;
}

/** The ReplicaFailure of the new ReplicaSet, or else of any other. */
function replicaFailure(all: ReplicaSet[], newSet: ReplicaSet | undefined): DeploymentCondition | undefined {
  for (const rs of newSet === undefined ? all : [newSet, ...all]) {
    const failure = rs.status?.conditions?.find((c) => c.type === 'ReplicaFailure');
    if (failure !== undefined) return { ...failure, lastUpdateTime: failure.lastTransitionTime };
  }
  return undefined;
}

/** In how many ms a rollout must be looked at again for its deadline; undefined when it need not. */
export function deadlineCheck(d: Deployment, status: DeploymentStatus, now: number): number | undefined {
  const progressing = condition(d.status, 'Progressing');
  if (!hasProgressDeadline(d) || progressing === undefined) return undefined;
  if (isComplete(d, status) || progressing.reason === 'ProgressDeadlineExceeded') return undefined;
  return Math.max(0, deadline(d, progressing) - now) + 1000;
}

const COUNTS = [
  'observedGeneration',
  'replicas',
  'updatedReplicas',
  'readyReplicas',
  'availableReplicas',
  'unavailableReplicas',
  'collisionCount',
] as const;

export function sameDeploymentStatus(a: DeploymentStatus | undefined, b: DeploymentStatus): boolean {
  const { conditions: left = [] } = a ?? {};
  const { conditions: right = [] } = b;
  return (
    COUNTS.every((field) => (a?.[field] ?? 0) === (b[field] ?? 0)) &&
    a?.terminatingReplicas === b.terminatingReplicas &&
    left.length === right.length &&
    right.every((c) => left.some((l) => sameCondition(l, c)))
  );
}

function sameCondition(a: DeploymentCondition, b: DeploymentCondition): boolean {
  return (
    a.type === b.type &&
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.lastUpdateTime === b.lastUpdateTime &&
    a.lastTransitionTime === b.lastTransitionTime
  );
}
