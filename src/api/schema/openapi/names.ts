/** What OpenAPI documents call types and groups. */
import { parseApiVersion } from '../../machinery/types.js';
import { typeNameParts } from '../groups.js';

const PACKAGES: Record<string, string> = {
  meta: 'io.k8s.apimachinery.pkg.apis.meta',
  apiextensions: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions',
  apiregistration: 'io.k8s.kube-aggregator.pkg.apis.apiregistration',
};

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
