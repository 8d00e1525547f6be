/** ResourceQuotas: how much a namespace may have in all. */
import type { ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement } from '#types';
import { child, type FieldError, invalid, key, required } from '../../machinery/field.js';
import { sameJson } from '../../machinery/validation.js';
import { ageColumn, nameColumn, textColumn } from '../columns.js';
import { defineResource } from '../define.js';
import {
  isQuotaResource,
  validateQuantityValue,
  validateResourceName,
} from './podspec/validate-resources.js';

const SCOPES = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];
const COMPUTE = new Set(['', 'requests.', 'limits.'].flatMap((use) => [`${use}cpu`, `${use}memory`]));
/** Scopes that contradict each other. */
const PAIRS = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
] as const;

function validateAmounts(amounts: Record<string, string> | undefined, path: string): FieldError[] {
  return Object.entries(amounts ?? {}).flatMap(([name, quantity]) => {
    const at = key(path, name);
    const errors = validateResourceName(name, at);
    if (!name.includes('/') && !isQuotaResource(name))
      errors.push(invalid(at, name, 'must be a standard resource for quota'));
    return [...errors, ...validateQuantityValue(name, quantity, at)];
  });
}

const validateSpec = (spec: ResourceQuotaSpec): FieldError[] => [
  ...validateAmounts(spec.hard, 'spec.hard'),
  ...validateScopes(spec),
  ...validateSelector(spec),
];

function validateScopes({ scopes = [], hard = {} }: ResourceQuotaSpec): FieldError[] {
  const wrong = (detail: string) => invalid('spec.scopes', scopes, detail);
  const errors = scopes.flatMap((scope) => [
    ...(SCOPES.includes(scope) ? [] : [wrong('unsupported scope')]),
    ...unfit(scope, hard).map(() => wrong('unsupported scope applied to resource')),
  ]);
  return [...errors, ...conflicts(scopes).map(() => wrong('conflicting scopes'))];
}

const conflicts = (scopes: string[]) => PAIRS.filter((pair) => pair.every((scope) => scopes.includes(scope)));

/** The resources that the objects of a scope have nothing of. */
const unfit = (scope: string, hard: Record<string, string>): string[] =>
  Object.keys(hard).filter((name) => isQuotaResource(name) && !fits(scope, name));

/** All but one scope are about pods, of which best-effort ones have no amounts. */
function fits(scope: string, resource: string): boolean {
  if (!SCOPES.includes(scope)) return true;
  if (scope === 'VolumeAttributesClass')
    return resource === 'persistentvolumeclaims' || resource === 'requests.storage';
  return resource === 'pods' || (scope !== 'BestEffort' && COMPUTE.has(resource));
}

function validateSelector({ scopeSelector, hard = {} }: ResourceQuotaSpec): FieldError[] {
  const path = 'spec.scopeSelector.matchExpressions';
  const requirements = scopeSelector?.matchExpressions ?? [];
  const wrong = (detail: string) => invalid(path, scopeSelector, detail);
  const errors = requirements.flatMap((requirement) => {
    const { scopeName = '' } = requirement;
    return [
      ...(SCOPES.includes(scopeName)
        ? []
        : [invalid(child(path, 'scopeName'), scopeName, 'unsupported scope')]),
      ...unfit(scopeName, hard).map(() => wrong('unsupported scope applied to resource')),
      ...validateRequirement(requirement, path),
    ];
  });
  const scopes = requirements.map(({ scopeName }) => scopeName);
  return [...errors, ...conflicts(scopes).map(() => invalid(path, scopes, 'conflicting scopes'))];
}

/** Classes can be named, the other scopes only be in force. */
function validateRequirement(requirement: ScopedResourceSelectorRequirement, path: string): FieldError[] {
  const { scopeName, operator = '', values = [] } = requirement;
  const errors: FieldError[] = [];
  const named = scopeName === 'PriorityClass' || scopeName === 'VolumeAttributesClass';
  if (SCOPES.includes(scopeName) && !named && operator !== 'Exists')
    errors.push(
      invalid(
        child(path, 'operator'),
        operator,
        "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
      ),
    );
  const at = child(path, 'values');
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0)
        errors.push(
          required(at, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"),
        );
      break;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0)
        errors.push(
          invalid(
            at,
            values,
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
          ),
        );
      break;
    default:
      errors.push(invalid(child(path, 'operator'), operator, 'not a valid selector operator'));
  }
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
    sameJson([...new Set(spec.scopes)].sort(), [...new Set(old.spec.scopes)].sort())
      ? []
      : [invalid('spec.scopes', spec.scopes ?? [], 'field is immutable')],
  validateStatusUpdate: ({ status }) => [
    ...validateAmounts(status?.hard, 'status.hard'),
    ...validateAmounts(status?.used, 'status.used'),
  ],
  columns: [
    nameColumn,
    textColumn('Request', 'What may be asked for.', (quota) => used(quota, false)),
    textColumn('Limit', 'What may be used.', (quota) => used(quota, true)),
    ageColumn,
  ],
});
