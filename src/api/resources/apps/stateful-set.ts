/** StatefulSets. */
import type { PersistentVolumeClaim, StatefulSet, StatefulSetSpec } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { dns1123Label } from '../../machinery/names.js';
import { checked, sameJson, validateLabelSelector, validateNonnegative } from '../../machinery/validation.js';
import { ageColumn, nameColumn, templateColumns } from '../columns.js';
import { validateClaimSpec } from '../core/persistent-volume-claim-spec.js';
import { defaultPodTemplate } from '../core/podspec/defaults.js';
import { claimWarnings } from '../core/podspec/warnings.js';
import { defineResource, REPLICAS, SCALE } from '../define.js';
import { sizeOf, validateAtMostAll, validateIntOrPercent } from '../int-or-percent.js';
import { dropUnset } from '../unset.js';
import { templateWarnings, validateTemplate } from './workload.js';

const PARTS = ['readyReplicas', 'currentReplicas', 'updatedReplicas'] as const;
const MUTABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

function defaults(set: StatefulSet): void {
  set.spec ??= {} as StatefulSetSpec;
  const { spec } = set;
  dropUnset(spec, ['minReadySeconds']);
  spec.serviceName ??= '';
  spec.podManagementPolicy ||= 'OrderedReady';
  spec.updateStrategy ??= {};
  const strategy = spec.updateStrategy;
  strategy.type ||= 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate ??= {};
    strategy.rollingUpdate.partition ??= 0;
    strategy.rollingUpdate.maxUnavailable ??= 1;
  }
  spec.persistentVolumeClaimRetentionPolicy ??= {};
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= 'Retain';
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= 'Retain';
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.template ??= {} as StatefulSetSpec['template'];
  defaultPodTemplate(spec.template);
  if (spec.ordinals) spec.ordinals.start ??= 0;
  for (const claim of spec.volumeClaimTemplates ?? []) defaultClaim(claim);
  if (set.status) {
    dropUnset(set.status, [...PARTS, 'observedGeneration', 'currentRevision', 'updateRevision']);
    set.status.replicas ??= 0;
    set.status.availableReplicas ??= 0;
  }
}

/** A template of claims is stored as a whole claim, with a status. */
function defaultClaim(claim: PersistentVolumeClaim): void {
  claim.apiVersion ||= 'v1';
  claim.kind ||= 'PersistentVolumeClaim';
  claim.metadata ??= {} as PersistentVolumeClaim['metadata'];
  claim.spec ??= {};
  claim.spec.volumeMode ??= 'Filesystem';
  claim.status ??= {};
  claim.status.phase ||= 'Pending';
}

/** What is left unchecked of an update: the claims can't change, and a template that was invalid stays so. */
interface Leniency {
  fixed?: boolean;
  template?: boolean;
}

function validateSpec(spec: StatefulSetSpec, { fixed, template }: Leniency = {}): FieldError[] {
  return [
    ...validatePolicies(spec, 'spec'),
    ...(fixed ? [] : validateClaims(spec)),
    ...validateNonnegative(spec.replicas, 'spec.replicas'),
    ...validateNonnegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...validateNonnegative(spec.ordinals?.start, 'spec.ordinals.start'),
    // The service gives the pods' host names their domain.
    ...(spec.serviceName && !fixed ? checked('spec.serviceName', spec.serviceName, dns1123Label) : []),
    ...validateSelector(spec),
    ...validateTemplate(podsTemplate(spec), spec.selector, 'StatefulSet', template),
  ];
}

const validateClaims = ({ volumeClaimTemplates = [] }: StatefulSetSpec): FieldError[] =>
  volumeClaimTemplates.flatMap((claim, i) =>
    validateClaimSpec(claim.spec!, child(index('spec.volumeClaimTemplates', i), 'spec')),
  );

function validatePolicies(spec: StatefulSetSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const policy = spec.podManagementPolicy;
  if (!policy) errors.push(required(child(path, 'podManagementPolicy')));
  else if (policy !== 'OrderedReady' && policy !== 'Parallel')
    errors.push(invalid(child(path, 'podManagementPolicy'), policy, "must be 'OrderedReady' or 'Parallel'"));
  errors.push(...validateStrategy(spec, child(path, 'updateStrategy')));
  const retention = spec.persistentVolumeClaimRetentionPolicy;
  for (const field of ['whenDeleted', 'whenScaled'] as const) {
    const value = retention?.[field] ?? '';
    if (retention && value !== 'Retain' && value !== 'Delete')
      errors.push(
        notSupported(child(path, 'persistentVolumeClaimRetentionPolicy', field), value, ['Retain', 'Delete']),
      );
  }
  return errors;
}

function validateStrategy({ updateStrategy = {} }: StatefulSetSpec, path: string): FieldError[] {
  const { type, rollingUpdate } = updateStrategy;
  const at = child(path, 'rollingUpdate');
  switch (type) {
    case undefined:
    case '':
      return [required(path)];
    case 'OnDelete':
      return rollingUpdate
        ? [invalid(at, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'")]
        : [];
    case 'RollingUpdate': {
      if (!rollingUpdate) return [];
      const errors = validateNonnegative(rollingUpdate.partition, child(at, 'partition'));
      const { maxUnavailable } = rollingUpdate;
      if (maxUnavailable === undefined) return errors;
      const where = child(at, 'maxUnavailable');
      errors.push(...validateIntOrPercent(maxUnavailable, where));
      if (sizeOf(maxUnavailable) === 0) errors.push(invalid(where, maxUnavailable, 'cannot be 0'));
      errors.push(...validateAtMostAll(maxUnavailable, where));
      return errors;
    }
    default:
      return [invalid(path, updateStrategy, "must be 'RollingUpdate' or 'OnDelete'")];
  }
}

function validateSelector({ selector }: StatefulSetSpec): FieldError[] {
  if (!selector) return [required('spec.selector')];
  const errors = validateLabelSelector(selector, 'spec.selector');
  const terms = Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions?.length ?? 0);
  if (terms === 0)
    errors.push(invalid('spec.selector', selector, 'empty selector is invalid for statefulset'));
  return errors;
}

/**
 * The template as the pods will have it: with the volumes that the claims give, so that mounts of them are
 * known, and without the names that each pod gets of its own.
 */
function podsTemplate({ template, volumeClaimTemplates = [] }: StatefulSetSpec): StatefulSetSpec['template'] {
  if (!template.spec) return template;
  const { hostname: _, subdomain: __, ...spec } = template.spec;
  if (volumeClaimTemplates.length === 0) return { ...template, spec };
  const names = new Set(volumeClaimTemplates.map(({ metadata }) => metadata?.name ?? ''));
  const own = (spec.volumes ?? []).filter(({ name }) => !names.has(name));
  const claims = [...names].map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...template, spec: { ...spec, volumes: [...claims, ...own] } };
}

function validateUpdate(set: StatefulSet, old: StatefulSet): FieldError[] {
  const rest = (spec: StatefulSetSpec): Partial<StatefulSetSpec> => {
    const copy: Partial<StatefulSetSpec> = { ...spec };
    for (const field of MUTABLE) delete copy[field];
    return copy;
  };
  const wasInvalid = validateSpec(old.spec, { fixed: true }).length > 0;
  const errors = validateSpec(set.spec, { fixed: true, template: wasInvalid });
  if (sameJson(rest(set.spec), rest(old.spec))) return errors;
  return [
    ...errors,
    forbidden(
      'spec',
      "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ),
  ];
}

function validateStatus({ status }: StatefulSet, old: StatefulSet): FieldError[] {
  const count = (field: (typeof PARTS)[number] | 'replicas' | 'availableReplicas') => status?.[field] ?? 0;
  const errors = (['replicas', ...PARTS, 'availableReplicas'] as const).flatMap((field) =>
    validateNonnegative(count(field), child('status', field)),
  );
  errors.push(
    ...validateNonnegative(status?.observedGeneration, 'status.observedGeneration'),
    ...validateNonnegative(status?.collisionCount, 'status.collisionCount'),
  );
  for (const field of [...PARTS, 'availableReplicas'] as const)
    if (count(field) > count('replicas'))
      errors.push(invalid(child('status', field), count(field), 'cannot be greater than status.replicas'));
  if (count('availableReplicas') > count('readyReplicas'))
    errors.push(
      invalid(
        'status.availableReplicas',
        count('availableReplicas'),
        'cannot be greater than status.readyReplicas',
      ),
    );
  const [now, before] = [status?.collisionCount, old.status?.collisionCount];
  if (before !== undefined && (now ?? -1) < before)
    errors.push(invalid('status.collisionCount', now ?? 0, 'cannot be decremented'));
  return errors;
}

function warnings(set: StatefulSet, old: StatefulSet | undefined): string[] {
  const { revisionHistoryLimit, volumeClaimTemplates } = set.spec;
  return [
    ...templateWarnings(set, old),
    ...(volumeClaimTemplates ?? []).flatMap(({ spec }, i) =>
      claimWarnings(spec, index('spec.volumeClaimTemplates', i)),
    ),
    ...(revisionHistoryLimit !== undefined && revisionHistoryLimit < 0
      ? [
          'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended',
        ]
      : []),
  ];
}

export const statefulSets = defineResource<StatefulSet>({
  group: 'apps',
  version: 'v1',
  kind: 'StatefulSet',
  plural: 'statefulsets',
  shortNames: ['sts'],
  categories: ['all'],
  namespaced: true,
  generation: true,
  // Host names are made of it.
  validateName: dns1123Label,
  scale: REPLICAS,
  subresources: [SCALE, { name: 'status', kind: 'StatefulSet', verbs: ['get', 'patch', 'update'] }],
  defaults,
  prepareForCreate(set) {
    set.status = { replicas: 0, availableReplicas: 0 };
  },
  prepareForStatusUpdate(set, old) {
    set.spec = old.spec;
  },
  validateCreate: ({ spec }) => validateSpec(spec),
  validateUpdate,
  validateStatusUpdate: validateStatus,
  warnings,
  columns: [
    nameColumn,
    {
      name: 'Ready',
      type: 'string',
      description: 'Pods that are ready, of those there should be.',
      cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
    },
    ageColumn,
    ...templateColumns<StatefulSet>().slice(0, 2),
  ],
});
