/** ResourceQuotas: how much a namespace may have in all. */
import type { ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement } from '#types';
import { child, type FieldError, index, invalid, key, required } from '../../machinery/field.js';
import { qualifiedName } from '../../machinery/names.js';
import { checked, sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { QUOTA_RESOURCES, validateQuantityValue } from './podspec/validate-resources.js';

const SCOPES = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];
const OPERATORS = ['DoesNotExist', 'Exists', 'In', 'NotIn'];
const COMPUTE = /^((requests|limits)\.)?(cpu|memory)$/;
/** Scopes that contradict each other. */
const PAIRS = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
] as const;

function validateName(name: string, path: string): FieldError[] {
  const errors = checked(path, name, qualifiedName);
  const known = QUOTA_RESOURCES.has(name) || /^(requests\.)?hugepages-/.test(name);
  if (!name.includes('/') && !known)
    errors.push(invalid(path, name, 'must be a standard resource for quota'));
  return errors;
}

function validateSpec(spec: ResourceQuotaSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, quantity] of Object.entries(spec.hard ?? {})) {
    const at = key('spec.hard', name);
    errors.push(...validateName(name, at), ...validateQuantityValue(name, quantity, at));
  }
  return [...errors, ...validateScopes(spec), ...validateSelector(spec)];
}

function validateScopes({ scopes = [], hard = {} }: ResourceQuotaSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (scopes.length === 0) return errors;
  for (const scope of scopes) {
    if (!SCOPES.includes(scope)) errors.push(invalid('spec.scopes', scopes, 'unsupported scope'));
    for (const name of Object.keys(hard))
      if (!fits(scope, name))
        errors.push(invalid('spec.scopes', scopes, 'unsupported scope applied to resource'));
  }
  for (const [a, b] of PAIRS)
    if (scopes.includes(a) && scopes.includes(b))
      errors.push(invalid('spec.scopes', scopes, 'conflicting scopes'));
  return errors;
}

/** Scopes are about pods; best-effort pods have no amounts. */
const fits = (scope: string, resource: string): boolean =>
  resource === 'pods' || (scope !== 'BestEffort' && COMPUTE.test(resource)) || resource.includes('.');

function validateSelector({ scopeSelector }: ResourceQuotaSpec): FieldError[] {
  return (scopeSelector?.matchExpressions ?? []).flatMap((requirement, i) =>
    validateRequirement(requirement, index('spec.scopeSelector.matchExpressions', i)),
  );
}

function validateRequirement(requirement: ScopedResourceSelectorRequirement, path: string): FieldError[] {
  const { scopeName, operator, values = [] } = requirement;
  const errors: FieldError[] = [];
  if (!SCOPES.includes(scopeName))
    errors.push(invalid(child(path, 'scopeName'), scopeName, 'unsupported scope'));
  else if (scopeName !== 'PriorityClass' && scopeName !== 'VolumeAttributesClass' && operator !== 'Exists')
    errors.push(
      invalid(
        child(path, 'operator'),
        operator,
        "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
      ),
    );
  if (!OPERATORS.includes(operator))
    errors.push(invalid(child(path, 'operator'), operator, 'not a valid selector operator'));
  const listed = operator === 'In' || operator === 'NotIn';
  if (listed && values.length === 0)
    errors.push(
      required(
        child(path, 'values'),
        "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
      ),
    );
  if (!listed && values.length > 0)
    errors.push(
      invalid(
        child(path, 'values'),
        values,
        "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
      ),
    );
  return errors;
}

/** `name: used/hard` for every resource of the status that is (not) about limits. */
const used = (quota: ResourceQuota, limits: boolean): string =>
  Object.keys(quota.status?.hard ?? {})
    .filter((name) => name.startsWith('limits.') === limits)
    .sort()
    .map((name) => `${name}: ${quota.status?.used?.[name] ?? '0'}/${quota.status!.hard![name]}`)
    .join(', ');

export const resourceQuotas = defineResource<ResourceQuota>({
  group: '',
  version: 'v1',
  kind: 'ResourceQuota',
  plural: 'resourcequotas',
  shortNames: ['quota'],
  namespaced: true,
  subresources: [{ name: 'status', kind: 'ResourceQuota', verbs: ['get', 'patch', 'update'] }],
  defaults(quota) {
    quota.spec ??= {};
  },
  prepareForCreate(quota) {
    quota.status = {};
  },
  prepareForStatusUpdate(quota, old) {
    quota.spec = old.spec;
  },
  validate: ({ spec }) => validateSpec(spec),
  validateUpdate: ({ spec }, old) =>
    sameJson([...(spec.scopes ?? [])].sort(), [...(old.spec.scopes ?? [])].sort())
      ? []
      : [invalid('spec.scopes', spec.scopes ?? [], 'field is immutable')],
  columns: [
    nameColumn,
    textColumn('Request', 'What may be asked for.', (quota) => used(quota, false)),
    textColumn('Limit', 'What may be used.', (quota) => used(quota, true)),
    ageColumn,
  ],
});
