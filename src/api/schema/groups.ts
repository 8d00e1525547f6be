/** Families of types (`rbac/v1.Role`) and the API groups that they are served in. */
import { parseApiVersion } from '../machinery/types.js';

/** The API group of each family whose group is not `<family>.k8s.io`. */
const GROUPS: ReadonlyMap<string, string> = new Map([
  ['core', ''],
  ['meta', ''],
  ['apps', 'apps'],
  ['autoscaling', 'autoscaling'],
  ['batch', 'batch'],
  ['policy', 'policy'],
  ['flowcontrol', 'flowcontrol.apiserver.k8s.io'],
  ['rbac', 'rbac.authorization.k8s.io'],
]);

export interface TypeNameParts {
  /** Such as `rbac`. */
  family: string;
  /** Such as `rbac.authorization.k8s.io`. */
  group: string;
  version: string;
  kind: string;
}

const groupOf = (family: string): string => GROUPS.get(family) ?? `${family}.k8s.io`;

/** Splits `rbac/v1.Role`. */
export function typeNameParts(full: string): TypeNameParts {
  const slash = full.indexOf('/');
  const dot = full.indexOf('.');
  const family = full.slice(0, slash);
  return { family, group: groupOf(family), version: full.slice(slash + 1, dot), kind: full.slice(dot + 1) };
}

/** The family of an API group; undefined for a group that is none of this API's. */
function familyOf(group: string): string | undefined {
  if (group === '') return 'core';
  const dot = group.indexOf('.');
  const family = dot < 0 ? group : group.slice(0, dot);
  return groupOf(family) === group ? family : undefined;
}

/** Options that can be sent to every group version. */
const OPTIONS = new Set([
  'CreateOptions',
  'DeleteOptions',
  'GetOptions',
  'ListOptions',
  'PatchOptions',
  'UpdateOptions',
]);

/** Kinds of meta/v1 that are written as of `v1`, or of `meta.k8s.io/v1`. */
const META = new Set([
  'Status',
  'WatchEvent',
  'APIGroup',
  'APIGroupList',
  'APIResourceList',
  'APIVersions',
  'Table',
  'PartialObjectMetadata',
  'PartialObjectMetadataList',
]);

/** The name that the type of a kind has, if it is one of this API: `apps/v1`, `Deployment` is `apps/v1.Deployment`. */
export function typeNameOf(apiVersion: string, kind: string): string {
  const { group, version } = parseApiVersion(apiVersion);
  const meta = META.has(kind) && (apiVersion === 'v1' || group === 'meta.k8s.io');
  if (meta || OPTIONS.has(kind)) return `meta/v1.${kind}`;
  return `${familyOf(group) ?? group}/${version}.${kind}`;
}

/** The prefix of the names of a group version's types, such as `apps/v1.`. */
export function typePrefixOf(group: string, version: string): string {
  return `${familyOf(group) ?? group}/${version}.`;
}
