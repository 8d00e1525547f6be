/** Validation of requests and limits. */
import type { PodSpec, ResourceClaim, ResourceRequirements } from '#types';
import {
  child,
  duplicate,
  type FieldError,
  forbidden,
  index,
  invalid,
  key,
  notFound,
  notSupported,
  required,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import {
  canonicalQuantity,
  compareQuantities,
  quantityMilli,
  quantityValue,
} from '../../../machinery/quantity.js';
import { validateDns1123Label, validateQualifiedName } from '../../../machinery/validation.js';
import { aggregateWith, isPodLevelResource } from './amounts.js';
import { quantities } from './pod-level-resources.js';

const CONTAINER_RESOURCES = new Set(['cpu', 'memory', 'ephemeral-storage']);
/** What has a name without a domain, besides huge pages. */
const STANDARD_RESOURCES = new Set([
  ...['cpu', 'memory', 'ephemeral-storage'].flatMap((r) => [r, `requests.${r}`, `limits.${r}`]),
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'storage',
  'requests.storage',
  'services.nodeports',
  'services.loadbalancers',
]);
const INTEGER_RESOURCES = new Set([
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]);

const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');
/** Whether a container may ask for less than its limit. */
export const mayOvercommit = (name: string): boolean => isNative(name) && !isHugePages(name);

/** Whether a device plugin or an operator defines this resource, such as `example.com/gpu`. */
export const isExtendedResource = (name: string): boolean =>
  !isNative(name) && !name.startsWith('requests.') && names.qualifiedName(`requests.${name}`).length === 0;

/** Whether a quota can be about this name, if it has no domain. */
export const isQuotaResource = (name: string): boolean =>
  (STANDARD_RESOURCES.has(name) && name !== 'storage') || /^(requests\.)?hugepages-/.test(name);

type NameRule = (name: string, path: string) => FieldError[];

export function validateResourceName(name: string, path: string): FieldError[] {
  const errors = validateQualifiedName(name, path);
  if (errors.length > 0) return errors;
  const standard = STANDARD_RESOURCES.has(name) || /^(requests\.)?hugepages-/.test(name);
  return name.includes('/') || standard
    ? []
    : [invalid(path, name, 'must be a standard resource type or fully qualified')];
}

export const validateContainerResource: NameRule = (name, path) => {
  const errors = validateResourceName(name, path);
  if (!name.includes('/')) {
    if (!CONTAINER_RESOURCES.has(name) && !isHugePages(name))
      errors.push(invalid(path, name, 'must be a standard resource for containers'));
  } else if (!isNative(name) && !isExtendedResource(name))
    errors.push(invalid(path, name, "doesn't follow extended resource name standard"));
  return errors;
};

const validatePodResource: NameRule = (name, path) => {
  const errors = validateResourceName(name, path);
  if (errors.length > 0 || isPodLevelResource(name)) return errors;
  return [notSupported(path, name, ['cpu', 'hugepages-', 'memory'])];
};

/** Not negative, and whole where only whole numbers make sense. */
export function validateQuantityValue(name: string, quantity: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const milli = quantityMilli(quantity);
  if (milli < 0)
    errors.push(invalid(path, canonicalQuantity(quantity), 'must be greater than or equal to 0'));
  if ((INTEGER_RESOURCES.has(name) || isExtendedResource(name)) && milli % 1000 !== 0)
    errors.push(invalid(path, canonicalQuantity(quantity), 'must be an integer'));
  return errors;
}

function validateHugePages(name: string, quantity: string, path: string): FieldError[] {
  if (!isHugePages(name)) return [];
  const value = quantityValue(quantity);
  let size = 0;
  try {
    size = quantityValue(name.slice('hugepages-'.length));
  } catch {
    // No size in the name: no multiple of it.
  }
  return value >= 0 && size > 0 && value % size === 0
    ? []
    : [
        invalid(
          path,
          canonicalQuantity(quantity),
          `${canonicalQuantity(quantity)} is not positive integer multiple of ${name}`,
        ),
      ];
}

export const validateContainerResources = (
  resources: ResourceRequirements | undefined,
  claims: Set<string>,
  path: string,
): FieldError[] => validateRequirements(resources ?? {}, validateContainerResource, claims, path);

export const validateOverhead = (overhead: Record<string, string>, path: string): FieldError[] =>
  validateRequirements({ limits: overhead }, validateContainerResource, new Set(), path);

function validateRequirements(
  resources: ResourceRequirements,
  validateName: NameRule,
  claims: Set<string>,
  path: string,
): FieldError[] {
  const limits = resources.limits ?? {};
  const requests = resources.requests ?? {};
  const errors: FieldError[] = [];
  for (const [name, quantity] of Object.entries(limits)) {
    const at = key(child(path, 'limits'), name);
    errors.push(...validateName(name, at), ...validateQuantityValue(name, quantity, at));
    errors.push(...validateHugePages(name, quantity, at));
  }
  for (const [name, quantity] of Object.entries(requests)) {
    const at = key(child(path, 'requests'), name);
    errors.push(...validateName(name, at), ...validateQuantityValue(name, quantity, at));
    errors.push(...validateAgainstLimit(name, quantity, limits[name], path));
    errors.push(...validateHugePages(name, quantity, at));
  }
  const all = [...Object.keys(limits), ...Object.keys(requests)];
  if (all.some(isHugePages) && !all.some((name) => name === 'cpu' || name === 'memory'))
    errors.push(forbidden(path, 'HugePages require cpu or memory'));
  return [...errors, ...validateClaims(resources.claims ?? [], claims, child(path, 'claims'))];
}

function validateAgainstLimit(
  name: string,
  request: string,
  limit: string | undefined,
  path: string,
): FieldError[] {
  if (limit === undefined)
    return mayOvercommit(name)
      ? []
      : [required(child(path, 'limits'), 'Limit must be set for non overcommitable resources')];
  const order = compareQuantities(request, limit);
  const rule =
    order !== 0 && !mayOvercommit(name)
      ? 'must be equal to'
      : order > 0
        ? 'must be less than or equal to'
        : undefined;
  if (!rule) return [];
  const detail = `${rule} ${name} limit of ${canonicalQuantity(limit)}`;
  return [invalid(child(path, 'requests'), canonicalQuantity(request), detail)];
}

function validateClaims(claims: ResourceClaim[], known: Set<string>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  claims.forEach((claim, i) => {
    const at = index(path, i);
    if (!claim.name) {
      errors.push(required(at));
      return;
    }
    const id = claim.request ? `${claim.name}/${claim.request}` : claim.name;
    if (claim.request) errors.push(...validateDns1123Label(claim.request, child(at, 'request')));
    const covered = [...seen].some(
      (other) =>
        other === id || other === claim.name || (!claim.request && other.startsWith(`${claim.name}/`)),
    );
    if (covered) errors.push(duplicate(at, seen.has(claim.name) ? claim.name : id));
    seen.add(id);
    if (!known.has(claim.name)) {
      const error = notFound(at, claim.name);
      const list = known.size === 0 ? ' which is empty' : `: ${[...known].sort().join(', ')}`;
      errors.push({
        ...error,
        message: `${error.message}: must be one of the names in pod.spec.resourceClaims${list}`,
      });
    }
  });
  return errors;
}

/** `spec.resources` of a pod (KEP-2837): names, and that the containers fit into it. */
export function validatePodResources(spec: PodSpec, claims: Set<string>, path: string): FieldError[] {
  const resources = spec.resources;
  if (!resources) return [];
  const errors: FieldError[] = [];
  if (resources.claims)
    errors.push(forbidden(child(path, 'claims'), 'claims cannot be set for Resources at pod-level'));
  errors.push(...validateRequirements(resources, validatePodResource, claims, path));
  const sums = aggregateWith(spec, (c) => c.resources?.requests ?? {}, quantities);
  for (const [name, sum] of Object.entries(sums)) {
    const own = resources.requests?.[name];
    if (isPodLevelResource(name) && compareQuantities(sum, own) > 0)
      errors.push(
        invalid(
          key(child(path, 'requests'), name),
          own === undefined ? '0' : canonicalQuantity(own),
          `must be greater than or equal to aggregate container requests of ${canonicalQuantity(sum)}`,
        ),
      );
  }
  spec.containers?.forEach((container, i) => {
    for (const [name, limit] of Object.entries(container.resources?.limits ?? {})) {
      const own = resources.limits?.[name];
      if (own !== undefined && compareQuantities(limit, own) > 0)
        errors.push(
          invalid(
            child(key(index(child(path, 'containers'), i), name), 'limits'),
            canonicalQuantity(limit),
            `must be less than or equal to pod limits of ${canonicalQuantity(own)}`,
          ),
        );
    }
  });
  return errors;
}
