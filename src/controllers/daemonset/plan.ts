/** Which daemon pods to create and delete: pure (upstream `daemon_controller.go`, `daemon/update.go`). */
import type { DaemonSet, Node, Pod } from '#types';
import { scaledValue } from '../deployment/arithmetic.js';
import { isPodAvailable, isPodReady } from '../pods.js';
import { isUpdated, placementOn } from './placement.js';

export interface Plan {
  /** Names of the nodes that get a pod. */
  create: string[];
  remove: Pod[];
}

/** The pods of a set by the node that they are on or meant for. */
export type PodsByNode = ReadonlyMap<string, Pod[]>;

export interface View {
  set: DaemonSet;
  nodes: Node[];
  pods: PodsByNode;
  /** Of the present template. */
  hash: string;
  /** In ms. */
  now: number;
}

/** What a pod that ended does to its set: told in an event before it is deleted. */
export interface Ended {
  pod: Pod;
  node: string;
}

/** One pod on each node that should have it, none elsewhere; two while an update surges. */
export function placePods(view: View): Plan & { failed: Ended[]; succeeded: Ended[] } {
  const plan = {
    create: [] as string[],
    remove: [] as Pod[],
    failed: [] as Ended[],
    succeeded: [] as Ended[],
  };
  const existing = new Set<string>();
  for (const node of view.nodes) {
    const { name } = node.metadata;
    existing.add(name);
    const { run, stay } = placementOn(node, view.set.spec.template);
    const pods = view.pods.get(name) ?? [];
    const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (run && pods.length === 0) plan.create.push(name);
    else if (!stay) plan.remove.push(...alive);
    else {
      for (const pod of alive)
        if (pod.status?.phase === 'Failed') plan.failed.push({ pod, node: name });
        else if (pod.status?.phase === 'Succeeded') plan.succeeded.push({ pod, node: name });
      const running = alive.filter(
        ({ status }) => status?.phase !== 'Failed' && status?.phase !== 'Succeeded',
      );
      if (!surges(view.set)) plan.remove.push(...running.sort(oldestFirst).slice(1));
      else if (running.length > 1) plan.remove.push(...surplus(view, running.sort(oldestFirst)));
      else if (running.length === 0 && run) plan.create.push(name);
    }
  }
  // The scheduler would keep them waiting for a node that is gone.
  for (const [name, pods] of view.pods)
    if (!existing.has(name))
      plan.remove.push(...pods.filter(({ spec, metadata }) => !spec.nodeName && !metadata.deletionTimestamp));
  return plan;
}

/** In a surge the old pod stays until the new one is available, unless it is of no use. */
function surplus({ set, hash, now }: View, running: Pod[]): Pod[] {
  const [current, ...moreCurrent] = running.filter((pod) => isUpdated(pod, hash));
  const [old, ...moreOld] = running.filter((pod) => !isUpdated(pod, hash));
  const removed = [...moreCurrent, ...moreOld];
  if (current !== undefined && old !== undefined) {
    const isDone = isPodAvailable(current, set.spec.minReadySeconds ?? 0, now);
    if (!isPodReady(old) || isDone) removed.push(old);
  }
  return removed;
}

/** The next step of a rolling update, within maxUnavailable or maxSurge. */
export function rollPods(view: View): Plan {
  const { set, nodes, pods } = view;
  const wanted = nodes.filter((node) => placementOn(node, set.spec.template).run);
  const names = new Set([...wanted.map(({ metadata }) => metadata.name), ...pods.keys()]);
  const belongs = new Set(wanted.map(({ metadata }) => metadata.name));
  const states = [...names].map((name) => stateOf(view, name, belongs.has(name)));
  const { maxUnavailable, maxSurge } = limits(set, wanted.length);
  return maxSurge === 0 ? replace(states, maxUnavailable) : surge(states, maxSurge, wanted.length);
}

/** The pods of one node in an update; `messy` when there are more than one of a kind. */
interface NodeState {
  node: string;
  /** A pod that is here may stay, but no new one comes where this is false. */
  run: boolean;
  messy: boolean;
  current: Pod | undefined;
  old: Pod | undefined;
  currentAvailable: boolean;
  oldAvailable: boolean;
}

function stateOf({ set, pods, hash, now }: View, node: string, run: boolean): NodeState {
  const alive = (pods.get(node) ?? []).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const current = alive.filter((pod) => isUpdated(pod, hash));
  const old = alive.filter((pod) => !isUpdated(pod, hash));
  const isAvailable = (pod: Pod | undefined): boolean =>
    pod !== undefined && isPodAvailable(pod, set.spec.minReadySeconds ?? 0, now);
  return {
    node,
    run,
    messy: current.length > 1 || old.length > 1,
    current: current[0],
    old: old[0],
    currentAvailable: isAvailable(current[0]),
    oldAvailable: isAvailable(old[0]),
  };
}

/** Deletes old pods; what places pods makes the new ones. */
function replace(states: NodeState[], maxUnavailable: number): Plan {
  const broken: Pod[] = [];
  const candidates: Pod[] = [];
  let unavailable = 0;
  for (const { messy, current, old, currentAvailable, oldAvailable } of states) {
    if (messy || (current === undefined) === (old === undefined)) unavailable++;
    else if (old === undefined) unavailable += currentAvailable ? 0 : 1;
    else if (oldAvailable) candidates.push(old);
    else {
      broken.push(old);
      unavailable++;
    }
  }
  return {
    create: [],
    remove: [...broken, ...candidates.slice(0, Math.max(0, maxUnavailable - unavailable))],
  };
}

/**
 * Makes new pods beside the old ones, and deletes an old one when the new one is available. Old pods of nodes
 * that get no new one go as soon as they are not needed for as many to be available as should be.
 */
function surge(states: NodeState[], maxSurge: number, desired: number): Plan {
  const plan: Plan = { create: [], remove: [] };
  const candidates: string[] = [];
  const leftover: Pod[] = [];
  let surging = 0;
  let available = 0;
  for (const { node, run, messy, current, old, currentAvailable, oldAvailable } of states) {
    if (messy) {
      surging++;
      continue;
    }
    if (old ? oldAvailable : currentAvailable) available++;
    if (old === undefined) continue;
    if (current !== undefined) {
      if (currentAvailable) plan.remove.push(old);
      else surging++;
    } else if (run) (oldAvailable ? candidates : plan.create).push(node);
    else (oldAvailable ? leftover : plan.remove).push(old);
  }
  plan.create.push(...candidates.slice(0, Math.max(0, maxSurge - surging)));
  plan.remove.push(...leftover.slice(0, Math.max(0, available - desired)));
  return plan;
}

function limits(set: DaemonSet, desired: number): { maxUnavailable: number; maxSurge: number } {
  const { maxUnavailable = 1, maxSurge = 0 } = set.spec.updateStrategy?.rollingUpdate ?? {};
  const unavailable = scaledValue(maxUnavailable, desired, true);
  const surged = scaledValue(maxSurge, desired, true);
  if (desired > 0 && unavailable === 0 && surged === 0) return { maxUnavailable: 1, maxSurge: 0 };
  return { maxUnavailable: unavailable, maxSurge: surged };
}

function surges(set: DaemonSet): boolean {
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {};
  return type === 'RollingUpdate' && scaledValue(rollingUpdate?.maxSurge, 100, true) > 0;
}

/** Those on a node before those that wait, then by age. */
export const oldestFirst = (a: Pod, b: Pod): number =>
  Number(Boolean(b.spec.nodeName)) - Number(Boolean(a.spec.nodeName)) ||
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  a.metadata.name.localeCompare(b.metadata.name);
