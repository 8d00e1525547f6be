/** `matchLabelKeys`: selectors that take the values of the pod's own labels when it is created (KEP-3633, KEP-3243). */
import type { LabelSelector, Pod } from '#types';

function merge(
  labels: Record<string, string>,
  selector: LabelSelector | undefined,
  keys: string[] | undefined,
  operator: 'In' | 'NotIn',
): void {
  if (!selector) return;
  for (const key of keys ?? []) {
    const value = labels[key];
    if (value === undefined) continue;
    selector.matchExpressions = [...(selector.matchExpressions ?? []), { key, operator, values: [value] }];
  }
}

/** Writes the pod's labels into the selectors of its affinity terms and spread constraints. */
export function mergeMatchLabelKeys(pod: Pod): void {
  const labels = pod.metadata.labels ?? {};
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    const affinity = pod.spec.affinity?.[kind];
    const terms = [
      ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((w) => w.podAffinityTerm),
    ];
    for (const term of terms) {
      merge(labels, term?.labelSelector, term?.matchLabelKeys, 'In');
      merge(labels, term?.labelSelector, term?.mismatchLabelKeys, 'NotIn');
    }
  }
  for (const constraint of pod.spec.topologySpreadConstraints ?? [])
    merge(labels, constraint.labelSelector, constraint.matchLabelKeys, 'In');
}
