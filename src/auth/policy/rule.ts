/** How the default policy writes its rules: words split at blanks, `core` for the core group. */
import type { ClusterRole, PolicyRule } from '#types';

const words = (text: string): string[] => text.split(' ').sort();

/** `allow('get list', 'apps', 'deployments deployments/status')`; only for objects of `names`, if given. */
export function allow(verbs: string, groups: string, resources: string, names?: string): PolicyRule {
  return {
    apiGroups: words(groups)
      .map((group) => (group === 'core' ? '' : group))
      .sort(),
    ...(names === undefined ? {} : { resourceNames: words(names) }),
    resources: words(resources),
    verbs: words(verbs),
  };
}

/** Reading of paths that are no resources. */
export const allowGet = (paths: string): PolicyRule => ({ nonResourceURLs: words(paths), verbs: ['get'] });

export const READ = 'get list watch';
export const WRITE = 'create delete deletecollection patch update';
export const EVENTS = allow('create patch update', 'core events.k8s.io', 'events');

const BOOTSTRAPPING = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const AUTO_UPDATE = { 'rbac.authorization.kubernetes.io/autoupdate': 'true' };

/** Metadata that marks an object as part of the default policy. */
export const defaultMeta = (name: string, labels: Record<string, string> = {}) => ({
  name,
  annotations: { ...AUTO_UPDATE },
  labels: { ...BOOTSTRAPPING, ...labels },
});

export function clusterRole(
  name: string,
  rules: PolicyRule[],
  labels: Record<string, string> = {},
): ClusterRole {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: defaultMeta(name, labels),
    rules,
  };
}
