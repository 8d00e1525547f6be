/** Which requests a webhook or policy is for: rules, equivalent resources and selectors. */
import type { LabelSelector, RuleWithOperations } from '#types';
import { labelSelector } from '../../api/machinery/selectors.js';
import { notFound } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { resources } from '../../api/resources/index.js';
import type { Store } from '../../store/store.js';
import { prefixOf } from '../keys.js';
import type { AdmissionRequest } from './admission.js';

/** The kind, resource and subresource that a webhook or policy sees. */
export interface Matched {
  kind: { group: string; version: string; kind: string };
  resource: { group: string; version: string; resource: string };
  subresource: string;
  /** The version that the objects are converted to; undefined for the request's own. */
  convert?: Resource;
}

const OWN_GROUP = 'admissionregistration.k8s.io';

/** Configurations of admission are never themselves subject to it: nobody could repair them. */
export const isExempt = ({ resource }: AdmissionRequest): boolean => resource.group === OWN_GROUP;

/** The kind of the request's own object: that of the body, which may be another than the resource's. */
export function kindOf({ resource, object, old }: AdmissionRequest): Matched['kind'] {
  const { apiVersion = resource.apiVersion, kind = resource.kind } = object ?? old ?? {};
  const slash = apiVersion.indexOf('/');
  return { group: slash < 0 ? '' : apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1), kind };
}

export const resourceOf = ({ group, version, plural }: Resource): Matched['resource'] => ({
  group,
  version,
  resource: plural,
});

/** How the first rule that fits sees the request; undefined if none does. */
export function matchRules(
  request: AdmissionRequest,
  rules: readonly (RuleWithOperations & { resourceNames?: string[] })[],
  policy: string | undefined,
): Matched | undefined {
  const { resource, subresource } = request;
  if (rules.some((rule) => fits(rule, request, resource)))
    return { kind: kindOf(request), resource: resourceOf(resource), subresource };
  if (policy === 'Exact') return undefined;
  for (const other of equivalents(resource))
    if (rules.some((rule) => fits(rule, request, other)))
      return {
        kind:
          subresource === '' || subresource === 'status'
            ? { ...kindOf(request), group: other.group, version: other.version }
            : kindOf(request),
        resource: resourceOf(other),
        subresource,
        convert: other,
      };
  return undefined;
}

/** Other versions of the resource, whose objects are the same ones. */
function equivalents(resource: Resource): Resource[] {
  const definition = resource.custom?.definition;
  if (definition) return definition.served.filter((other) => other !== resource);
  const prefix = prefixOf(resource, '');
  return resources.filter((other) => other !== resource && prefixOf(other, '') === prefix);
}

function fits(
  {
    operations,
    apiGroups,
    apiVersions,
    resources: wanted,
    scope,
    resourceNames,
  }: RuleWithOperations & { resourceNames?: string[] },
  { operation, subresource, namespace, name }: AdmissionRequest,
  resource: Resource,
): boolean {
  const has = (list: string[] | undefined, value: string) => list?.includes('*') || list?.includes(value);
  if (!has(operations, operation) || !has(apiGroups, resource.group) || !has(apiVersions, resource.version))
    return false;
  if (scope === 'Namespaced' && (!resource.namespaced || namespace === '')) return false;
  if (scope === 'Cluster' && resource.namespaced && namespace !== '') return false;
  if (resourceNames && resourceNames.length > 0 && !resourceNames.includes(name)) return false;
  return wanted?.some((pattern) => fitsResource(pattern, resource.plural, subresource)) ?? false;
}

function fitsResource(pattern: string, resource: string, subresource: string): boolean {
  const [name, sub = ''] = pattern.split('/', 2);
  return (name === '*' || name === resource) && (sub === '*' || sub === subresource);
}

const isAll = (selector: LabelSelector | undefined): boolean =>
  !selector ||
  (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0);

/** Whether the object, or what it was, has the labels. */
export function matchesObject(
  { object, old }: AdmissionRequest,
  selector: LabelSelector | undefined,
): boolean {
  if (isAll(selector)) return true;
  const wanted = labelSelector(selector);
  const labelled = (each: KubeObject | undefined) =>
    each?.metadata !== undefined && wanted.matches(each.metadata.labels);
  return labelled(object) || labelled(old);
}

/** Whether the request's namespace has the labels; cluster-wide requests always fit. Throws 404 without the namespace. */
export function matchesNamespace(
  store: Store,
  request: AdmissionRequest,
  selector: LabelSelector | undefined,
): boolean {
  const { resource, namespace, name, operation, object, subresource } = request;
  const isNamespace = resource.group === '' && resource.plural === 'namespaces';
  const of = isNamespace ? name : namespace;
  if ((of === '' && !isNamespace) || isAll(selector)) return true;
  if (isNamespace && subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'))
    return labelSelector(selector).matches(object?.metadata.labels);
  const stored = store.get(`core/namespaces//${of}`);
  if (!stored) throw notFound({ group: '', resource: 'namespaces' }, of);
  return labelSelector(selector).matches(stored.object.metadata.labels);
}
