/** How many replicas each ReplicaSet of a Deployment may have: pure, on numbers and objects (upstream `deployment_util.go`). */
import type { Deployment, ReplicaSet } from '#types';
import { desiredReplicas, maxReplicas } from './annotations.js';

export function isRollingUpdate(d: Deployment): boolean {
  return (d.spec.strategy?.type ?? 'RollingUpdate') === 'RollingUpdate';
}

export function replicasOf(d: Deployment): number {
  return d.spec.replicas ?? 1;
}

export function specReplicas(sets: ReplicaSet[]): number {
  return sets.reduce((sum, rs) => sum + (rs.spec.replicas ?? 1), 0);
}

type Count = 'replicas' | 'readyReplicas' | 'availableReplicas';

export function statusReplicas(sets: ReplicaSet[], field: Count): number {
  return sets.reduce((sum, rs) => sum + (rs.status?.[field] ?? 0), 0);
}

/** Those that have replicas or should have. */
export function activeSets(sets: ReplicaSet[]): ReplicaSet[] {
  return sets.filter((rs) => (rs.spec.replicas ?? 1) > 0);
}

/** A count, or a share such as `25%` of `total`. */
export function scaledValue(value: number | string | undefined, total: number, roundUp: boolean): number {
  if (value === undefined) return 0;
  if (typeof value === 'number') return value;
  const percent = Number.parseInt(value, 10);
  if (Number.isNaN(percent)) return 0;
  const share = (percent * total) / 100;
  return roundUp ? Math.ceil(share) : Math.floor(share);
}

/** maxSurge and maxUnavailable in pods; never both 0, or a rollout could not move. */
function fenceposts(d: Deployment): { surge: number; unavailable: number } {
  const { maxSurge = '25%', maxUnavailable = '25%' } = d.spec.strategy?.rollingUpdate ?? {};
  const surge = scaledValue(maxSurge, replicasOf(d), true);
  const unavailable = scaledValue(maxUnavailable, replicasOf(d), false);
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

export function maxSurge(d: Deployment): number {
  return isRollingUpdate(d) ? fenceposts(d).surge : 0;
}

export function maxUnavailable(d: Deployment): number {
  if (!isRollingUpdate(d) || replicasOf(d) === 0) return 0;
  return Math.min(fenceposts(d).unavailable, replicasOf(d));
}

/** How many replicas the new ReplicaSet may have now. `current` is what it has. */
export function newSetReplicas(d: Deployment, all: ReplicaSet[], current: number): number {
  if (!isRollingUpdate(d)) return replicasOf(d);
  const room = replicasOf(d) + maxSurge(d) - specReplicas(all);
  if (room <= 0) return current;
  return current + Math.min(room, replicasOf(d) - current);
}

/** A new size for a ReplicaSet. */
export interface Resize {
  set: ReplicaSet;
  replicas: number;
}

const byAge = (a: ReplicaSet, b: ReplicaSet): number =>
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  a.metadata.name.localeCompare(b.metadata.name);

export function oldestFirst(sets: ReplicaSet[]): ReplicaSet[] {
  return sets.toSorted(byAge);
}

/**
 * How the old ReplicaSets shrink in a rolling update: first what is not healthy, then as much as
 * availability allows. The result names each ReplicaSet that shrinks once for each of the two steps.
 */
export function shrinkOldSets(d: Deployment, newSet: ReplicaSet, old: ReplicaSet[]): Resize[] {
  const all = [...old, newSet];
  if (specReplicas(old) === 0) return [];
  const minAvailable = replicasOf(d) - maxUnavailable(d);
  const newUnavailable = (newSet.spec.replicas ?? 1) - (newSet.status?.availableReplicas ?? 0);
  const budget = specReplicas(all) - minAvailable - newUnavailable;
  if (budget <= 0) return [];
  const unhealthy = shrinkUnhealthy(oldestFirst(old), budget);
  const sizes = new Map(unhealthy.map(({ set, replicas }) => [set, replicas]));
  const spare = statusReplicas(all, 'availableReplicas') - minAvailable;
  return [...unhealthy, ...shrinkHealthy(oldestFirst(old), sizes, spare)];
}

function shrinkUnhealthy(old: ReplicaSet[], budget: number): Resize[] {
  const resizes: Resize[] = [];
  let left = budget;
  for (const set of old) {
    if (left <= 0) break;
    const size = set.spec.replicas ?? 1;
    const by = Math.min(left, size - (set.status?.availableReplicas ?? 0));
    if (size === 0 || by <= 0) continue;
    resizes.push({ set, replicas: size - by });
    left -= by;
  }
  return resizes;
}

function shrinkHealthy(old: ReplicaSet[], sizes: Map<ReplicaSet, number>, spare: number): Resize[] {
  const resizes: Resize[] = [];
  let left = spare;
  for (const set of old) {
    if (left <= 0) break;
    const size = sizes.get(set) ?? set.spec.replicas ?? 1;
    const by = Math.min(left, size);
    if (by === 0) continue;
    resizes.push({ set, replicas: size - by });
    left -= by;
  }
  return resizes;
}

/** When a Deployment is scaled in the middle of a rollout: each ReplicaSet changes in proportion to its size. */
export function proportionalSizes(d: Deployment, sets: ReplicaSet[]): Resize[] {
  const allowed = replicasOf(d) > 0 ? replicasOf(d) + maxSurge(d) : 0;
  const toAdd = allowed - specReplicas(sets);
  const newestFirst = toAdd >= 0;
  const sorted = sets.toSorted(
    (a, b) => (b.spec.replicas ?? 1) - (a.spec.replicas ?? 1) || (newestFirst ? byAge(b, a) : byAge(a, b)),
  );
  let added = 0;
  const resizes = sorted.map((set) => {
    const share = toAdd === 0 ? 0 : proportion(d, set, toAdd, added);
    added += share;
    return { set, replicas: (set.spec.replicas ?? 1) + share };
  });
  const largest = resizes[0];
  if (largest !== undefined && toAdd !== 0) largest.replicas = Math.max(0, largest.replicas + toAdd - added);
  return resizes;
}

function proportion(d: Deployment, set: ReplicaSet, toAdd: number, added: number): number {
  const size = set.spec.replicas ?? 1;
  if (size === 0 || toAdd === added) return 0;
  const allowed = toAdd - added;
  const share = fraction(d, set, size);
  return toAdd > 0 ? Math.min(share, allowed) : Math.max(share, allowed);
}

function fraction(d: Deployment, set: ReplicaSet, size: number): number {
  if (replicasOf(d) === 0) return -size;
  const before = maxReplicas(set) || (d.status?.replicas ?? 0);
  if (before === 0) return 0;
  const scaled = (size * (replicasOf(d) + maxSurge(d))) / before;
  return Math.round(scaled) - size;
}

/** Whether the new ReplicaSet has all the replicas, and all are available. */
export function isSaturated(d: Deployment, rs: ReplicaSet | undefined): boolean {
  return (
    rs !== undefined &&
    rs.spec.replicas === replicasOf(d) &&
    desiredReplicas(rs) === replicasOf(d) &&
    (rs.status?.availableReplicas ?? 0) === replicasOf(d)
  );
}

/** The one ReplicaSet that has replicas, or the newest when none has; undefined when several have. */
export function activeOrLatest(newSet: ReplicaSet | undefined, old: ReplicaSet[]): ReplicaSet | undefined {
  const active = activeSets(newSet === undefined ? old : [...old, newSet]);
  if (active.length === 0) return newSet ?? oldestFirst(old).at(-1);
  return active.length === 1 ? active[0] : undefined;
}
