/** Whether a node is one that a pod asks for by nodeSelector and node affinity (component-helpers `nodeaffinity`). */
import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec } from '#types';

/** Whether the node has what the nodeSelector and the required node affinity ask for. */
export function matchesNode(spec: PodSpec, node: Node): boolean {
  for (const key in spec.nodeSelector)
    if (node.metadata.labels?.[key] !== spec.nodeSelector[key]) return false;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || matchesNodeSelector(required, node);
}

/** Any of the terms; a term without requirements matches nothing. */
export function matchesNodeSelector(selector: NodeSelector, node: Node): boolean {
  return selector.nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

/** All requirements of the term; one without any matches nothing. */
export function matchesTerm(term: NodeSelectorTerm, node: Node): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
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
