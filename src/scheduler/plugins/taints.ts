/** TaintToleration and NodeUnschedulable: nodes that repel pods. */
import type { Taint } from '#types';
import { tolerated } from '../../api/machinery/taints.js';
import { type FilterPlugin, normalize, type ScorePlugin } from '../framework.js';

const UNSCHEDULABLE: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

export const nodeUnschedulable: FilterPlugin = {
  name: 'NodeUnschedulable',
  filter({ pod }) {
    if (tolerated(pod.pod.spec.tolerations, UNSCHEDULABLE)) return undefined;
    const rejection = { reasons: ['node(s) were unschedulable'], unresolvable: true };
    return ({ node }) => (node?.spec.unschedulable ? rejection : undefined);
  },
};

export const taintToleration: FilterPlugin & ScorePlugin = {
  name: 'TaintToleration',
  weight: 3,
  filter({ pod }) {
    const { tolerations } = pod.pod.spec;
    const rejection = { reasons: ['node(s) had untolerated taint(s)'], unresolvable: true };
    return ({ node }) => {
      const repels = node?.spec.taints?.some(
        (taint) => taint.effect !== 'PreferNoSchedule' && !tolerated(tolerations, taint),
      );
      return repels ? rejection : undefined;
    };
  },
  score({ pod }, nodes) {
    const { tolerations } = pod.pod.spec;
    const unwelcome = (taint: Taint): boolean =>
      taint.effect === 'PreferNoSchedule' && !tolerated(tolerations, taint);
    const scores = nodes.map(({ node }) => node?.spec.taints?.filter(unwelcome).length ?? 0);
    return scores.some((score) => score > 0) ? normalize(scores, true) : undefined;
  },
};
