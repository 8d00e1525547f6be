/** InterPodAffinity: pods that want to be with, or away from, other pods. */
import type { PodAffinityTerm, WeightedPodAffinityTerm } from '#types';
import { labelSelector, type Selector } from '../../api/machinery/selectors.js';
import { type Cycle, type FilterPlugin, MAX_SCORE, type ScorePlugin } from '../framework.js';
import type { NodeInfo } from '../node-info.js';
import type { PodInfo } from '../pod-info.js';

const REASONS = {
  affinity: { reasons: ["node(s) didn't match pod affinity rules"], unresolvable: true },
  antiAffinity: { reasons: ["node(s) didn't match pod anti-affinity rules"], unresolvable: false },
  existing: { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"], unresolvable: false },
};
/** What a required affinity of a pod that runs weighs for one that would join it. */
const HARD_AFFINITY_WEIGHT = 1;

/** A term with its selectors ready. */
interface Term {
  key: string;
  selector: Selector;
  namespaces: ReadonlySet<string>;
  namespaceSelector: Selector | undefined;
}

/** Counts by topology key and value. */
class Topology {
  readonly #counts = new Map<string, number>();

  get empty(): boolean {
    return this.#counts.size === 0;
  }

  add(node: NodeInfo, key: string, count = 1): void {
    const value = node.node?.metadata.labels?.[key];
    if (value === undefined) return;
    const id = `${key}\0${value}`;
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + count);
  }

  at(node: NodeInfo, key: string): number {
    const value = node.node?.metadata.labels?.[key];
    return value === undefined ? 0 : (this.#counts.get(`${key}\0${value}`) ?? 0);
  }

  sum(node: NodeInfo): number {
    let sum = 0;
    for (const [key, value] of Object.entries(node.node?.metadata.labels ?? {}))
      sum += this.#counts.get(`${key}\0${value}`) ?? 0;
    return sum;
  }
}

export const interPodAffinity: FilterPlugin & ScorePlugin = {
  name: 'InterPodAffinity',
  weight: 2,
  filter(cycle) {
    const { pod } = cycle;
    const affinity = requiredTerms(pod, 'podAffinity');
    const anti = requiredTerms(pod, 'podAntiAffinity');
    const forbidden = existingAntiAffinity(cycle);
    if (affinity.length === 0 && anti.length === 0 && forbidden.empty) return undefined;
    const wanted = new Topology();
    const unwanted = new Topology();
    eachPod(cycle, (other, node) => {
      if (affinity.length > 0 && affinity.every((term) => matches(cycle, term, other)))
        for (const { key } of affinity) wanted.add(node, key);
      for (const term of anti) if (matches(cycle, term, other)) unwanted.add(node, term.key);
    });
    // The first of a group that wants to be together would else never find a place.
    const isFirst = wanted.empty && affinity.every((term) => matches(cycle, term, pod));
    return (node) => {
      const together = affinity.every(
        ({ key }) => node.node?.metadata.labels?.[key] !== undefined && (isFirst || wanted.at(node, key) > 0),
      );
      if (!together) return REASONS.affinity;
      if (anti.some(({ key }) => unwanted.at(node, key) > 0)) return REASONS.antiAffinity;
      return forbidden.sum(node) > 0 ? REASONS.existing : undefined;
    };
  },
  helps(event, waiting, changed, cycle) {
    if (event === 'pod-added')
      return requiredTerms(waiting, 'podAffinity').some((term) => matches(cycle, term, changed));
    return (
      requiredTerms(waiting, 'podAntiAffinity').some((term) => matches(cycle, term, changed)) ||
      requiredTerms(changed, 'podAntiAffinity').some((term) => matches(cycle, term, waiting))
    );
  },
  score(cycle, nodes) {
    const topology = preferences(cycle);
    if (topology.empty) return undefined;
    const sums = nodes.map((node) => topology.sum(node));
    const min = Math.min(...sums);
    const range = Math.max(...sums) - min;
    return sums.map((sum) => (range === 0 ? 0 : Math.floor((MAX_SCORE * (sum - min)) / range)));
  },
};

function eachPod({ cache }: Cycle, visit: (pod: PodInfo, node: NodeInfo) => void): void {
  for (const node of cache.nodes) for (const pod of node.pods.values()) visit(pod, node);
}

/** Where pods that run do not want this one. */
function existingAntiAffinity(cycle: Cycle): Topology {
  const topology = new Topology();
  for (const node of cycle.cache.nodes)
    for (const other of node.podsWithAffinity.values())
      for (const term of requiredTerms(other, 'podAntiAffinity'))
        if (matches(cycle, term, cycle.pod)) topology.add(node, term.key);
  return topology;
}

/** What the pod prefers, and what those that run prefer of it. */
function preferences(cycle: Cycle): Topology {
  const { pod } = cycle;
  const topology = new Topology();
  const own = [...preferredTerms(pod, 'podAffinity', 1), ...preferredTerms(pod, 'podAntiAffinity', -1)];
  if (own.length > 0)
    eachPod(cycle, (other, node) => {
      for (const { term, weight } of own)
        if (matches(cycle, term, other)) topology.add(node, term.key, weight);
    });
  for (const node of cycle.cache.nodes)
    for (const other of node.podsWithAffinity.values()) {
      const theirs = [
        ...preferredTerms(other, 'podAffinity', 1),
        ...preferredTerms(other, 'podAntiAffinity', -1),
        ...requiredTerms(other, 'podAffinity').map((term) => ({ term, weight: HARD_AFFINITY_WEIGHT })),
      ];
      for (const { term, weight } of theirs)
        if (matches(cycle, term, pod)) topology.add(node, term.key, weight);
    }
  return topology;
}

type Kind = 'podAffinity' | 'podAntiAffinity';

function requiredTerms({ pod }: PodInfo, kind: Kind): Term[] {
  const terms = pod.spec.affinity?.[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  return terms.map((term) => termOf(term, pod.metadata.namespace ?? ''));
}

function preferredTerms({ pod }: PodInfo, kind: Kind, sign: 1 | -1): { term: Term; weight: number }[] {
  const terms: WeightedPodAffinityTerm[] =
    pod.spec.affinity?.[kind]?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return terms.map(({ podAffinityTerm, weight }) => ({
    term: termOf(podAffinityTerm, pod.metadata.namespace ?? ''),
    weight: sign * weight,
  }));
}

function termOf(term: PodAffinityTerm, namespace: string): Term {
  const own = (term.namespaces?.length ?? 0) === 0 && term.namespaceSelector === undefined;
  return {
    key: term.topologyKey,
    selector: labelSelector(term.labelSelector),
    namespaces: new Set(own ? [namespace] : term.namespaces),
    namespaceSelector: term.namespaceSelector && labelSelector(term.namespaceSelector),
  };
}

function matches(cycle: Cycle, { selector, namespaces, namespaceSelector }: Term, { pod }: PodInfo): boolean {
  const { namespace = '', labels = {} } = pod.metadata;
  const inNamespace =
    namespaces.has(namespace) || namespaceSelector?.matches(cycle.namespaceLabels(namespace)) === true;
  return inNamespace && selector.matches(labels);
}
