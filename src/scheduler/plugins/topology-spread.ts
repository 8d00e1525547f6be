/** PodTopologySpread: pods that match a selector are spread over nodes, zones and the like (KEP-895). */
import type { Pod, TopologySpreadConstraint } from '#types';
import { labelSelector, type Selector } from '../../api/machinery/selectors.js';
import { tolerated } from '../../api/machinery/taints.js';
import { type Cycle, type FilterPlugin, MAX_SCORE, type ScorePlugin } from '../framework.js';
import type { NodeInfo } from '../node-info.js';
import type { PodInfo } from '../pod-info.js';
import { matchesNode } from './node-affinity.js';

const MISMATCH = "node(s) didn't match pod topology spread constraints";
const ZONE = 'topology.kubernetes.io/zone';
/** What pods without constraints of their own get, by their controller in place of a selector. */
const HOST_SKEW = 3;
const ZONE_SKEW = 5;

interface Constraint {
  key: string;
  maxSkew: number;
  minDomains: number;
  selector: Selector;
  /** Whether a node counts as a domain for the pod. */
  counts(node: NodeInfo): boolean;
}

export const podTopologySpread: FilterPlugin & ScorePlugin = {
  name: 'PodTopologySpread',
  weight: 2,
  helpedByNodes: true,
  filter(cycle) {
    const constraints = constraintsOf(cycle.pod.pod, 'DoNotSchedule');
    if (constraints.length === 0) return undefined;
    const nodes = cycle.cache.nodes.filter((node) => constraints.every(({ key }) => domainOf(node, key)));
    const checks = constraints.map((constraint) => skewCheck(cycle, constraint, nodes));
    return (node) => {
      for (const check of checks) {
        const rejection = check(node);
        if (rejection !== undefined) return rejection;
      }
      return undefined;
    };
  },
  helps(_, { pod }, changed) {
    const { namespace } = pod.metadata;
    return (
      changed.pod.metadata.namespace === namespace &&
      constraintsOf(pod, 'DoNotSchedule').some(({ selector }) =>
        selector.matches(changed.pod.metadata.labels ?? {}),
      )
    );
  },
  score(cycle, nodes) {
    if (nodes.length < 2) return undefined;
    const constraints = constraintsOf(cycle.pod.pod, 'ScheduleAnyway');
    if (constraints.length > 0) return lessIsBetter(constrainedScores(cycle, constraints, nodes));
    const hasOwn = (cycle.pod.pod.spec.topologySpreadConstraints?.length ?? 0) > 0;
    if (hasOwn || cycle.pod.owner === '') return undefined;
    return lessIsBetter(ownerScores(cycle, nodes));
  },
};

function constraintsOf(pod: Pod, when: 'DoNotSchedule' | 'ScheduleAnyway'): Constraint[] {
  return (pod.spec.topologySpreadConstraints ?? [])
    .filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when)
    .map((constraint) => ({
      key: constraint.topologyKey,
      maxSkew: constraint.maxSkew,
      minDomains: constraint.minDomains ?? 1,
      selector: selectorOf(constraint, pod),
      counts: (node) =>
        (constraint.nodeAffinityPolicy === 'Ignore' || matchesNode(pod, node)) &&
        (constraint.nodeTaintsPolicy !== 'Honor' || isTolerated(pod, node)),
    }));
}

function selectorOf(
  { labelSelector: own, matchLabelKeys = [] }: TopologySpreadConstraint,
  pod: Pod,
): Selector {
  const labels = pod.metadata.labels ?? {};
  const matchLabels = { ...own?.matchLabels };
  for (const key of matchLabelKeys) if (labels[key] !== undefined) matchLabels[key] = labels[key];
  return labelSelector(own && { ...own, matchLabels });
}

function isTolerated({ spec }: Pod, { node }: NodeInfo): boolean {
  const taints = node?.spec.taints ?? [];
  return taints.every(
    ({ effect }, i) => effect === 'PreferNoSchedule' || tolerated(spec.tolerations, taints[i]!),
  );
}

function domainOf({ node }: NodeInfo, key: string): string | undefined {
  return node?.metadata.labels?.[key];
}

function skewCheck({ pod }: Cycle, constraint: Constraint, nodes: NodeInfo[]) {
  const { key, selector, maxSkew } = constraint;
  const domains = countDomains(pod, constraint, nodes);
  const least = domains.size < constraint.minDomains ? 0 : Math.min(...domains.values());
  const self = selector.matches(pod.pod.metadata.labels ?? {}) ? 1 : 0;
  return (node: NodeInfo) => {
    const value = domainOf(node, key);
    if (value === undefined) return { reasons: [`${MISMATCH} (missing required label)`], unresolvable: true };
    const skew = (domains.get(value) ?? 0) + self - (Number.isFinite(least) ? least : 0);
    return skew > maxSkew ? { reasons: [MISMATCH], unresolvable: false } : undefined;
  };
}

/** How many matching pods each domain has; only of nodes that count. */
function countDomains(pod: PodInfo, constraint: Constraint, nodes: NodeInfo[]): Map<string, number> {
  const domains = new Map<string, number>();
  for (const node of nodes) {
    const value = domainOf(node, constraint.key);
    if (value === undefined || !constraint.counts(node)) continue;
    domains.set(value, (domains.get(value) ?? 0) + matching(pod, constraint.selector, node));
  }
  return domains;
}

/** A selector of all pods counts none, as upstream. */
function matching({ pod }: PodInfo, selector: Selector, node: NodeInfo): number {
  let count = 0;
  if (selector.empty) return count;
  for (const { pod: other } of node.pods.values())
    if (
      other.metadata.namespace === pod.metadata.namespace &&
      other.metadata.deletionTimestamp === undefined &&
      selector.matches(other.metadata.labels ?? {})
    )
      count++;
  return count;
}

/** The less the better; undefined for nodes without all the labels, which are worst. */
function constrainedScores(
  cycle: Cycle,
  constraints: Constraint[],
  nodes: NodeInfo[],
): (number | undefined)[] {
  const known = nodes.filter((node) => constraints.every(({ key }) => domainOf(node, key)));
  const counts = constraints.map((constraint) => countDomains(cycle.pod, constraint, cycle.cache.nodes));
  return nodes.map((node) => {
    if (!known.includes(node)) return undefined;
    let score = 0;
    constraints.forEach(({ key, maxSkew }, i) => {
      const domains = new Set(known.map((other) => domainOf(other, key))).size;
      score += (counts[i]!.get(domainOf(node, key)!) ?? 0) * Math.log(domains + 2) + maxSkew - 1;
    });
    return Math.round(score);
  });
}

function ownerScores({ pod, cache }: Cycle, nodes: NodeInfo[]): number[] {
  const zones = new Map<string, number>();
  for (const node of cache.nodes) {
    const zone = domainOf(node, ZONE);
    if (zone !== undefined) zones.set(zone, (zones.get(zone) ?? 0) + node.ownedBy(pod.owner));
  }
  const hostWeight = Math.log(nodes.length + 2);
  const zoneWeight = Math.log(zones.size + 2);
  return nodes.map((node) => {
    const zone = domainOf(node, ZONE);
    const inZone = zone === undefined ? 0 : (zones.get(zone) ?? 0) * zoneWeight + ZONE_SKEW - 1;
    return Math.round(node.ownedBy(pod.owner) * hostWeight + HOST_SKEW - 1 + inZone);
  });
}

function lessIsBetter(scores: (number | undefined)[]): number[] {
  const known = scores.filter((score) => score !== undefined);
  const max = Math.max(...known);
  const min = Math.min(...known);
  return scores.map((score) => {
    if (score === undefined) return 0;
    return max === 0 ? MAX_SCORE : Math.floor((MAX_SCORE * (max + min - score)) / max);
  });
}
