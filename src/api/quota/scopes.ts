/** Which objects a quota is about. */
import type { PersistentVolumeClaim, Pod, ResourceQuota, ScopedResourceSelectorRequirement } from '#types';
import type { KubeObject } from '../machinery/types.js';
import { podQosClass } from '../resources/core/podspec/qos.js';
import type { Resource } from '../resources/define.js';
import { attributesClassesOf } from '../storage/attributes-classes.js';

/** Whether a quota counts the object: without scopes all; scopes are about pods, and one about claims. */
export function quotaCovers(
  { spec }: ResourceQuota,
  { group, plural }: Pick<Resource, 'group' | 'plural'>,
  object: KubeObject,
): boolean {
  const terms: ScopedResourceSelectorRequirement[] = [
    ...(spec.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists' as const })),
    ...(spec.scopeSelector?.matchExpressions ?? []),
  ];
  if (terms.length === 0) return true;
  if (group !== '') return false;
  if (plural === 'persistentvolumeclaims') return terms.every((term) => claimMatches(object, term));
  return plural === 'pods' && terms.every((term) => podMatches(object as unknown as Pod, term));
}

/** What of an object may change that decides on its scopes, as text to compare. */
export function scopeFacts(
  { group, plural }: Pick<Resource, 'group' | 'plural'>,
  object: KubeObject,
): string {
  if (group !== '') return '';
  if (plural === 'persistentvolumeclaims')
    return attributesClassesOf(object as unknown as PersistentVolumeClaim).join();
  return plural === 'pods' ? `${isTerminating(object as unknown as Pod)}` : '';
}

function claimMatches(
  claim: KubeObject,
  { scopeName, operator, values = [] }: ScopedResourceSelectorRequirement,
): boolean {
  if (scopeName !== 'VolumeAttributesClass') return false;
  const names = attributesClassesOf(claim as unknown as PersistentVolumeClaim);
  if (operator === 'Exists' || operator === 'DoesNotExist')
    return names.length > 0 === (operator === 'Exists');
  return (names.length > 0 ? names : ['']).some((name) => matchesName(name, operator, values));
}

const isTerminating = ({ spec }: Pod): boolean => (spec.activeDeadlineSeconds ?? -1) >= 0;

function podMatches(
  pod: Pod,
  { scopeName, operator, values = [] }: ScopedResourceSelectorRequirement,
): boolean {
  const terminating = isTerminating(pod);
  switch (scopeName) {
    case 'Terminating':
      return terminating;
    case 'NotTerminating':
      return !terminating;
    case 'BestEffort':
      return podQosClass(pod) === 'BestEffort';
    case 'NotBestEffort':
      return podQosClass(pod) !== 'BestEffort';
    case 'PriorityClass':
      return matchesName(pod.spec.priorityClassName ?? '', operator, values);
    case 'CrossNamespacePodAffinity':
      return reachesOtherNamespaces(pod);
    default:
      return false;
  }
}

function matchesName(name: string, operator: string, values: string[]): boolean {
  switch (operator) {
    case 'In':
      return values.includes(name);
    case 'NotIn':
      return !values.includes(name);
    case 'Exists':
      return name !== '';
    default:
      return name === '';
  }
}

function reachesOtherNamespaces({ spec: { affinity } }: Pod): boolean {
  return [affinity?.podAffinity, affinity?.podAntiAffinity].some((rules) =>
    [
      ...(rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((w) => w.podAffinityTerm),
    ].some((term) => (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector !== undefined),
  );
}
