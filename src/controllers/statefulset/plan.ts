/** What a StatefulSet does next to its pods: pure (upstream `stateful_set_control.go`). */
import type { ControllerRevision, Pod, StatefulSet } from '#types';
import { scaledValue } from '../deployment/arithmetic.js';
import { isPodAvailable, isPodReady, isPodTerminal } from '../pods.js';
import { ordinalOf, revisionOf, startOrdinal } from './identity.js';

export interface View {
  set: StatefulSet;
  /** Those that are named as pods of the set. */
  pods: Pod[];
  /** What the pods were made from before the update under way. */
  current: ControllerRevision;
  /** What they are to be made from. */
  update: ControllerRevision;
  /** In ms. */
  now: number;
}

export interface Plan {
  create: { ordinal: number; revision: ControllerRevision }[];
  /** Pods that have ended, are too many, or are of an old revision. */
  remove: Pod[];
  /** How many of `remove` are there for their revision. */
  outdated: number;
  /** Pods whose identity, or claims, may have to be put right. */
  check: Pod[];
}

/** The pods within the range of ordinals by index (undefined where one is missing), and those beyond it. */
export function partition({ set, pods }: View): { replicas: (Pod | undefined)[]; condemned: Pod[] } {
  const start = startOrdinal(set);
  const replicas = new Array<Pod | undefined>(set.spec.replicas ?? 1).fill(undefined);
  const condemned: Pod[] = [];
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod);
    if (ordinal === undefined) continue;
    const index = ordinal - start;
    if (index >= 0 && index < replicas.length) replicas[index] = pod;
    else condemned.push(pod);
  }
  condemned.sort((a, b) => (ordinalOf(set, b) ?? 0) - (ordinalOf(set, a) ?? 0));
  return { replicas, condemned };
}

/**
 * In order (OrderedReady) each step waits for all before it: replicas from the first, then those that are too
 * many from the last. In parallel all are done at once. An update comes last, and only for complete sets.
 */
export function nextStep(view: View): Plan {
  const { set } = view;
  const plan: Plan = { create: [], remove: [], outdated: 0, check: [] };
  const { replicas, condemned } = partition(view);
  const isOrdered = set.spec.podManagementPolicy !== 'Parallel';
  for (const [index, pod] of replicas.entries())
    if (placeReplica(view, plan, index, pod) && isOrdered) return plan;
  if (removeCondemned(view, plan, replicas, condemned, isOrdered)) return plan;
  if (set.spec.updateStrategy?.type === 'RollingUpdate') removeOutdated(view, plan, replicas);
  return plan;
}

/** Returns whether those after it must wait. */
function placeReplica(view: View, plan: Plan, index: number, pod: Pod | undefined): boolean {
  const ordinal = index + startOrdinal(view.set);
  if (pod === undefined) {
    plan.create.push({ ordinal, revision: revisionFor(view, ordinal) });
    return true;
  }
  const isTerminating = pod.metadata.deletionTimestamp !== undefined;
  if (isPodTerminal(pod)) {
    if (!isTerminating) plan.remove.push(pod);
    return true;
  }
  plan.check.push(pod);
  return isTerminating || !isHealthy(view, pod);
}

/** Returns whether an update must wait. */
function removeCondemned(
  view: View,
  plan: Plan,
  replicas: (Pod | undefined)[],
  condemned: Pod[],
  isOrdered: boolean,
): boolean {
  if (condemned.length === 0) return false;
  plan.check.push(...condemned);
  const unhealthy =
    replicas.find((pod) => pod === undefined || !isHealthy(view, pod)) ??
    condemned.toReversed().find((pod) => !isHealthy(view, pod));
  for (const pod of condemned) {
    const isTerminating = pod.metadata.deletionTimestamp !== undefined;
    if (!isTerminating && (!isOrdered || isHealthy(view, pod) || pod === unhealthy)) plan.remove.push(pod);
    if (isOrdered) return true;
  }
  return false;
}

/** From the last ordinal down to the partition, as many as may be unavailable at once (KEP-961). */
function removeOutdated(view: View, plan: Plan, replicas: (Pod | undefined)[]): void {
  const { set, update } = view;
  const { partition: from = 0, maxUnavailable = 1 } = set.spec.updateStrategy?.rollingUpdate ?? {};
  const unavailable = replicas.filter((pod) => pod === undefined || !isHealthy(view, pod)).length;
  const allowed = Math.max(1, scaledValue(maxUnavailable, replicas.length, true));
  let budget = allowed - unavailable;
  for (const pod of replicas.toReversed()) {
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || plan.remove.includes(pod))
      continue;
    if ((ordinalOf(set, pod) ?? 0) < from + startOrdinal(set)) return;
    if (revisionOf(pod) === update.metadata.name) continue;
    // One that is unavailable already makes nothing worse.
    if (isHealthy(view, pod) && budget-- <= 0) return;
    plan.remove.push(pod);
    plan.outdated++;
  }
}

/** A pod below the partition comes back as it was. */
function revisionFor({ set, current, update }: View, ordinal: number): ControllerRevision {
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {};
  if (type !== 'RollingUpdate' || set.status?.currentRevision === update.metadata.name) return update;
  const below =
    startOrdinal(set) + (rollingUpdate ? (rollingUpdate.partition ?? 0) : (set.status?.currentReplicas ?? 0));
  return ordinal < below ? current : update;
}

export const isRunningAndReady = (pod: Pod): boolean => pod.status?.phase === 'Running' && isPodReady(pod);

function isHealthy({ set, now }: View, pod: Pod): boolean {
  const isAvailable = isRunningAndReady(pod) && isPodAvailable(pod, set.spec.minReadySeconds ?? 0, now);
  return isAvailable && pod.metadata.deletionTimestamp === undefined;
}
