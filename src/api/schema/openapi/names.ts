/** What OpenAPI documents call types and groups. */
import { parseApiVersion } from '../../machinery/types.js';

/** The API group of each family of types whose group is not `<family>.k8s.io`. */
const GROUPS: Record<string, string> = {
  core: '',
  meta: '',
  apps: 'apps',
  autoscaling: 'autoscaling',
  batch: 'batch',
  policy: 'policy',
  flowcontrol: 'flowcontrol.apiserver.k8s.io',
  rbac: 'rbac.authorization.k8s.io',
};

const PACKAGES: Record<string, string> = {
  meta: 'io.k8s.apimachinery.pkg.apis.meta',
  apiextensions: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions',
  apiregistration: 'io.k8s.kube-aggregator.pkg.apis.apiregistration',
};

export interface TypeNameParts {
  /** Such as `rbac`. */
  family: string;
  /** Such as `rbac.authorization.k8s.io`. */
  group: string;
  version: string;
  kind: string;
}

/** Splits `rbac/v1.Role`. */
export function typeNameParts(full: string): TypeNameParts {
  const slash = full.indexOf('/');
  const dot = full.indexOf('.');
  const family = full.slice(0, slash);
  return {
    family,
    group: GROUPS[family] ?? `${family}.k8s.io`,
    version: full.slice(slash + 1, dot),
    kind: full.slice(dot + 1),
  };
}

/** `apps/v1.Deployment` is `io.k8s.api.apps.v1.Deployment`. */
export function definitionName(full: string): string {
  const { family, version, kind } = typeNameParts(full);
  return `${PACKAGES[family] ?? `io.k8s.api.${family}`}.${version}.${kind}`;
}

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1);

/** The words of a group in operation ids and tags: `rbac.authorization.k8s.io` is `RbacAuthorization`. */
export function groupWords(group: string): string {
  if (group === '') return 'Core';
  return group
    .replace(/\.k8s\.io$/, '')
    .split('.')
    .map(capital)
    .join('');
}

/** `AppsV1`. */
export function groupVersionWords(apiVersion: string): string {
  const { group, version } = parseApiVersion(apiVersion);
  return groupWords(group) + capital(version);
}

/** The tag of a group version's operations: `rbacAuthorization_v1`. */
export function tagOf(apiVersion: string): string {
  const { group, version } = parseApiVersion(apiVersion);
  const words = groupWords(group);
  return `${words.slice(0, 1).toLowerCase()}${words.slice(1)}_${version}`;
}

/** Where a group version is served, and its name in the v3 index: `apis/apps/v1`. */
export function groupVersionPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`;
}
