/** podFailurePolicy and successPolicy: what a pod's failure means, and whether enough indexes succeeded (KEP-3329, KEP-3998). */
import type {
  ContainerStatus,
  Pod,
  PodFailurePolicy,
  PodFailurePolicyOnExitCodesRequirement,
  SuccessPolicy,
} from '#types';
import {
  countCommon,
  countIndexes,
  type Intervals,
  parseIntervals,
} from '../../api/resources/batch/indexes.js';

export interface FailureVerdict {
  /** Whether the failure counts against the backoff limits. */
  counts: boolean;
  action?: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count';
  /** Why the whole Job fails. */
  message?: string;
}

/** The first rule that fits decides; without one the failure counts. */
export function judgeFailure(policy: PodFailurePolicy | undefined, pod: Pod): FailureVerdict {
  for (const [i, rule] of (policy?.rules ?? []).entries()) {
    const why = matchingContainer(pod, rule.onExitCodes) ?? matchingCondition(pod, rule.onPodConditions);
    if (why === undefined) continue;
    switch (rule.action) {
      case 'Ignore':
        return { counts: false, action: 'Ignore' };
      case 'FailIndex':
        return { counts: true, action: 'FailIndex' };
      case 'Count':
        return { counts: true, action: 'Count' };
      case 'FailJob':
        return {
          counts: true,
          action: 'FailJob',
          message: `${why} matching ${rule.action} rule at index ${i}`,
        };
    }
  }
  return { counts: true };
}

const nameOf = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;

function matchingContainer(
  pod: Pod,
  requirement: PodFailurePolicyOnExitCodesRequirement | undefined,
): string | undefined {
  if (!requirement) return undefined;
  const { containerName, operator, values } = requirement;
  const matches = ({ name, state }: ContainerStatus): boolean => {
    const code = state?.terminated?.exitCode;
    if (code === undefined || code === 0) return false;
    if (containerName !== undefined && containerName !== name) return false;
    return values.includes(code) === (operator === 'In');
  };
  const found =
    (pod.status?.containerStatuses ?? []).find(matches) ??
    (pod.status?.initContainerStatuses ?? []).find(matches);
  return (
    found &&
    `Container ${found.name} for pod ${nameOf(pod)} failed with exit code ${found.state!.terminated!.exitCode}`
  );
}

function matchingCondition(
  pod: Pod,
  patterns: { type: string; status?: string }[] | undefined,
): string | undefined {
  for (const condition of pod.status?.conditions ?? [])
    if (patterns?.some((p) => p.type === condition.type && (p.status ?? 'True') === condition.status))
      return `Pod ${nameOf(pod)} has condition ${condition.type}`;
  return undefined;
}

/** Why the Job counts as succeeded before all its indexes are done; undefined while it does not. */
export function matchSuccess(
  policy: SuccessPolicy | undefined,
  completions: number,
  succeeded: Intervals,
): string | undefined {
  if (!policy || succeeded.length === 0) return undefined;
  const index = policy.rules.findIndex(({ succeededIndexes, succeededCount }) => {
    const wanted = succeededIndexes === undefined ? undefined : parseIntervals(succeededIndexes, completions);
    const count = wanted ? countCommon(succeeded, wanted) : countIndexes(succeeded);
    return count >= (succeededCount ?? (wanted ? countIndexes(wanted) : completions));
  });
  return index < 0 ? undefined : `Matched rules at index ${index}`;
}
