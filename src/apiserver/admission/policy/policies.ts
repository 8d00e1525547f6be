/** The policies and bindings that are stored, and which of them a request concerns. */
import type { MatchResources } from '#types';
import type { KubeObject } from '../../../api/machinery/types.js';
import type { Store } from '../../../store/store.js';
import type { AdmissionRequest } from '../admission.js';
import { type Matched, matchesNamespace, matchesObject, matchRules } from '../matching.js';

const GROUP = 'admissionregistration.k8s.io';

/** Policies by name, each with its bindings; those without any are left out. Reads what is committed. */
export async function boundPolicies(
  store: Store,
  policies: string,
  bindings: string,
): Promise<{ policy: KubeObject; bindings: KubeObject[] }[]> {
  const { items: bound } = await store.list(`${GROUP}/${bindings}//`);
  if (bound.length === 0) return [];
  const { items } = await store.list(`${GROUP}/${policies}//`);
  return items.flatMap(({ object: policy }) => {
    const own = bound
      .map(({ object }) => object)
      .filter(({ spec }) => spec?.policyName === policy.metadata.name);
    return own.length > 0 ? [{ policy, bindings: own }] : [];
  });
}

/** How the request is seen where it matches; undefined where it does not. Throws StatusError. */
export function matchResources(
  store: Store,
  request: AdmissionRequest,
  criteria: MatchResources,
): Matched | undefined {
  if (!matchesObject(request, criteria.objectSelector)) return undefined;
  if (!matchesNamespace(store, request, criteria.namespaceSelector)) return undefined;
  if (matchRules(request, criteria.excludeResourceRules ?? [], criteria.matchPolicy)) return undefined;
  return matchRules(request, criteria.resourceRules ?? [], criteria.matchPolicy);
}

/** A binding narrows its policy; without rules of its own all that the policy matches. */
export function bindingMatches(
  store: Store,
  request: AdmissionRequest,
  criteria: MatchResources | undefined,
): boolean {
  if (!criteria) return true;
  if ((criteria.resourceRules ?? []).length > 0)
    return matchResources(store, request, criteria) !== undefined;
  const { excludeResourceRules, matchPolicy, namespaceSelector, objectSelector } = criteria;
  return (
    matchesObject(request, objectSelector) &&
    matchesNamespace(store, request, namespaceSelector) &&
    !matchRules(request, excludeResourceRules ?? [], matchPolicy)
  );
}
