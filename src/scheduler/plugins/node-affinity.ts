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

/** Whether a node has what the pod's nodeSelector and required node affinity ask for. */
export const matchesNode = ({ spec }: Pod, { node }: NodeInfo): boolean =>
  node !== undefined && matches(spec, node);
