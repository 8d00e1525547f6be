/** What could make room for a pod that fits nowhere: pods of lower priority go (upstream `DefaultPreemption`). */
import type { PodDisruptionBudget } from '#types';
import { labelSelector } from '../../api/machinery/selectors.js';
import {
  type Cycle,
  type NodeRejection,
  type PostFilterPlugin,
  type Rejection,
  viewWith,
} from '../framework.js';
import { fitMessage } from '../messages.js';
import type { NodeInfo } from '../node-info.js';
import type { PodInfo } from '../pod-info.js';

const NOT_HELPFUL = 'Preemption is not helpful for scheduling';
const NO_VICTIMS = 'No preemption victims found for incoming pod';
/** So many nodes are looked at: a share of all, but not few. */
const MIN_CANDIDATES = 100;
const CANDIDATE_SHARE = 0.1;

/** A node on which the pod fits once the victims are gone. */
export interface Candidate {
  node: NodeInfo;
  /** The most important first. */
  victims: PodInfo[];
  /** How many of them a PodDisruptionBudget protects. */
  violations: number;
}

type Fits = (cycle: Cycle, node: NodeInfo) => Rejection | undefined;

export const defaultPreemption: PostFilterPlugin = {
  name: 'DefaultPreemption',
  postFilter(cycle, rejections, filter) {
    const why = whyNotEligible(cycle, rejections);
    if (why !== undefined) return { message: `preemption: ${why}` };
    const { candidates, results } = findCandidates(cycle, rejections, filter);
    const best = pickOne(candidates);
    if (best !== undefined) return { message: '', preemption: best };
    return { message: `preemption: ${fitMessage(rejections.size, results)}`, preemption: null };
  },
};

function whyNotEligible(cycle: Cycle, rejections: Map<NodeInfo, NodeRejection>): string | undefined {
  const { pod } = cycle;
  if (pod.pod.spec.preemptionPolicy === 'Never') return 'not eligible due to preemptionPolicy=Never.';
  const promised = cycle.cache.node(cycle.nominations.nodeOf(pod.uid) ?? '');
  if (promised === undefined || rejections.get(promised)?.unresolvable) return undefined;
  for (const other of promised.pods.values())
    if (other.priority < pod.priority && isLeaving(other))
      return 'not eligible due to a terminating pod on the nominated node.';
  return undefined;
}

/** It terminates because it was preempted; one that ends by itself need not leave in time. */
const isLeaving = ({ pod: { metadata, status } }: PodInfo): boolean =>
  metadata.deletionTimestamp !== undefined &&
  status?.conditions?.find(({ type }) => type === 'DisruptionTarget')?.reason === 'PreemptionByScheduler';

function findCandidates(
  cycle: Cycle,
  rejections: Map<NodeInfo, NodeRejection>,
  fits: Fits,
): { candidates: Candidate[]; results: Rejection[] } {
  const limit = Math.max(MIN_CANDIDATES, Math.floor(rejections.size * CANDIDATE_SHARE));
  const candidates: Candidate[] = [];
  const results: Rejection[] = [];
  for (const [node, { unresolvable }] of rejections) {
    if (candidates.length >= limit) break;
    const found = unresolvable
      ? { reasons: [NOT_HELPFUL], unresolvable: true }
      : victimsOn(cycle, node, fits);
    if ('victims' in found) candidates.push(found);
    else results.push(found);
  }
  return { candidates, results };
}

/** The fewest pods of lower priority that must leave the node; those that budgets protect stay if they can. */
export function victimsOn(cycle: Cycle, node: NodeInfo, fits: Fits): Candidate | Rejection {
  const lower = [...node.pods.values()].filter(({ priority }) => priority < cycle.pod.priority);
  if (lower.length === 0) return { reasons: [NO_VICTIMS], unresolvable: true };
  const trial = node.clone();
  const view = { ...cycle, cache: viewWith(cycle.cache, trial) };
  for (const victim of lower) trial.remove(victim);
  const rejection = fits(view, trial);
  if (rejection !== undefined) return rejection;
  const victims: PodInfo[] = [];
  const reprieve = (pod: PodInfo): boolean => {
    trial.add(pod);
    if (fits(view, trial) === undefined) return true;
    trial.remove(pod);
    victims.push(pod);
    return false;
  };
  const { violating, others } = byBudgets(lower.sort(moreImportant), cycle.budgets());
  const violations = violating.filter((pod) => !reprieve(pod)).length;
  for (const pod of others) reprieve(pod);
  return { node, victims: victims.sort(moreImportant), violations };
}

/** Those that a budget would not let go, when all are evicted in this order. */
function byBudgets(
  pods: PodInfo[],
  budgets: PodDisruptionBudget[],
): { violating: PodInfo[]; others: PodInfo[] } {
  const allowed = budgets.map(({ status }) => status?.disruptionsAllowed ?? 0);
  const selectors = budgets.map(({ spec }) => labelSelector(spec?.selector));
  const violating: PodInfo[] = [];
  const others: PodInfo[] = [];
  for (const info of pods) {
    const { namespace, labels, name } = info.pod.metadata;
    let violates = false;
    budgets.forEach((budget, i) => {
      if (budget.metadata.namespace !== namespace || !selectors[i]!.matches(labels)) return;
      // Its eviction has been counted already.
      if (budget.status?.disruptedPods?.[name] !== undefined) return;
      allowed[i]!--;
      if (allowed[i]! < 0) violates = true;
    });
    (violates ? violating : others).push(info);
  }
  return { violating, others };
}

/** The candidate that harms the least; each rule decides only between those that are equal by the ones before. */
export function pickOne(candidates: Candidate[]): Candidate | undefined {
  const rules: ((candidate: Candidate) => number)[] = [
    ({ violations }) => violations,
    ({ victims }) => victims[0]?.priority ?? Number.NEGATIVE_INFINITY,
    ({ victims }) => victims.reduce((sum, { priority }) => sum + priority + 2 ** 31, 0),
    ({ victims }) => victims.length,
    ({ victims }) => -earliestStart(victims),
  ];
  let best = candidates;
  for (const rule of rules) {
    if (best.length <= 1) break;
    const least = Math.min(...best.map(rule));
    best = best.filter((candidate) => rule(candidate) === least);
  }
  return best[0];
}

/** When the first of the most important victims started. */
function earliestStart(victims: PodInfo[]): number {
  const top = victims.filter(({ priority }) => priority === victims[0]!.priority);
  return top.length === 0 ? 0 : Math.min(...top.map(startTime));
}

const startTime = ({ pod }: PodInfo): number =>
  pod.status?.startTime === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(pod.status.startTime);

/** By priority; of two alike the one that has run for longer. */
const moreImportant = (a: PodInfo, b: PodInfo): number =>
  b.priority - a.priority || startTime(a) - startTime(b);
