/** NodeAffinity (with nodeSelector) and NodeName: nodes that a pod asks for. */
import type { Pod } from '#types';
import { matchesNode as matches, matchesTerm } from '../../api/machinery/node-selector.js';
import { type FilterPlugin, normalize, type ScorePlugin } from '../framework.js';
import type { NodeInfo } from '../node-info.js';

export const nodeName: FilterPlugin = {
  name: 'NodeName',
  filter({ pod }) {
    const wanted = pod.pod.spec.nodeName;
    if (!wanted) return undefined;
    const rejection = { reasons: ["node(s) didn't match the requested node name"], unresolvable: true };
    return ({ name }) => (name === wanted ? undefined : rejection);
  },
};

export const nodeAffinity: FilterPlugin & ScorePlugin = {
  name: 'NodeAffinity',
  weight: 2,
  preFilter: (cycle) =>
    namedNodes(cycle.pod.pod)?.size === 0
      ? { reasons: ['pod affinity terms conflict'], unresolvable: true }
      : undefined,
  candidates: ({ pod }) => namedNodes(pod.pod),
  filter({ pod }) {
    const { nodeSelector, affinity } = pod.pod.spec;
    if (nodeSelector === undefined && affinity?.nodeAffinity === undefined) return undefined;
    const rejection = {
      reasons: ["node(s) didn't match Pod's node affinity/selector"],
      unresolvable: true,
    };
    return (node) => (matchesNode(pod.pod, node) ? undefined : rejection);
  },
  score({ pod }, nodes) {
    const preferred = pod.pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
    if (!preferred?.length) return undefined;
    const scores = nodes.map(({ node }) => {
      let sum = 0;
      for (const { preference, weight } of preferred)
        if (node !== undefined && matchesTerm(preference, node)) sum += weight;
      return sum;
    });
    return normalize(scores);
  },
};

/** The nodes that all terms of a required node affinity name, as those of DaemonSets' pods do. */
function namedNodes({ spec }: Pod): ReadonlySet<string> | undefined {
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const terms = required?.nodeSelectorTerms ?? [];
  if (terms.length === 0) return undefined;
  const all = new Set<string>();
  for (const { matchFields = [] } of terms) {
    const lists = matchFields
      .filter(({ key, operator }) => key === 'metadata.name' && operator === 'In')
      .map(({ values = [] }) => values);
    if (lists.length === 0) return undefined;
    for (const name of lists[0]!) if (lists.every((list) => list.includes(name))) all.add(name);
  }
  return all;
}

/** Whether a node has what the pod's nodeSelector and required node affinity ask for. */
export const matchesNode = ({ spec }: Pod, { node }: NodeInfo): boolean =>
  node !== undefined && matches(spec, node);
