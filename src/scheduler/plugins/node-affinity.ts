/** NodeAffinity (with nodeSelector) and NodeName: nodes that a pod asks for. */
import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod } from '#types';
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
        if (node !== undefined && !isEmpty(preference) && matchesTerm(preference, node)) sum += weight;
      return sum;
    });
    return normalize(scores);
  },
};

/** Whether a node has what the pod's nodeSelector and required node affinity ask for. */
export function matchesNode({ spec }: Pod, { node }: NodeInfo): boolean {
  if (node === undefined) return false;
  for (const key in spec.nodeSelector)
    if (node.metadata.labels?.[key] !== spec.nodeSelector[key]) return false;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || matchesNodeSelector(required, node);
}

/** Any of the terms; a term without requirements matches nothing. */
function matchesNodeSelector(selector: NodeSelector, node: Node): boolean {
  return selector.nodeSelectorTerms.some((term) => !isEmpty(term) && matchesTerm(term, node));
}

function isEmpty({ matchExpressions, matchFields }: NodeSelectorTerm): boolean {
  return !matchExpressions?.length && !matchFields?.length;
}

function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  return (
    matchExpressions.every((r) => matchesRequirement(r, node.metadata.labels?.[r.key])) &&
    matchFields.every((r) =>
      matchesRequirement(r, r.key === 'metadata.name' ? node.metadata.name : undefined),
    )
  );
}

function matchesRequirement({ operator, values = [] }: NodeSelectorRequirement, value?: string): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return compare(value, values[0]) > 0;
    case 'Lt':
      return compare(value, values[0]) < 0;
    default:
      return false;
  }
}

/** Positive when `value` is greater; NaN, which is neither, when one is not a number. */
function compare(value: string | undefined, bound: string | undefined): number {
  const number = /^[+-]?\d+$/;
  if (value === undefined || bound === undefined || !number.test(value) || !number.test(bound))
    return Number.NaN;
  return Number(value) - Number(bound);
}
