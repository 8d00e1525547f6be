/** DaemonSets. */
import type { DaemonSet, DaemonSetUpdateStrategy } from '#types';
import { child, type FieldError, invalid, notSupported, required } from '../../machinery/field.js';
import { validateImmutable, validateLabelSelector, validateNonnegative } from '../../machinery/validation.js';
import { ageColumn, formatLabels, nameColumn, templateColumns } from '../columns.js';
import { defaultPodTemplate } from '../core/podspec/defaults.js';
import { defineResource } from '../define.js';
import { sizeOf, validateAtMostAll, validateIntOrPercent } from '../int-or-percent.js';
import { dropUnset } from '../unset.js';
import { templateWarnings, validateTemplate } from './workload.js';

const REQUIRED_COUNTS = [
  'currentNumberScheduled',
  'numberMisscheduled',
  'desiredNumberScheduled',
  'numberReady',
] as const;
const COUNTS = [
  'observedGeneration',
  'updatedNumberScheduled',
  'numberAvailable',
  'numberUnavailable',
] as const;

function defaults(set: DaemonSet): void {
  set.spec ??= {} as DaemonSet['spec'];
  const { spec } = set;
  dropUnset(spec, ['minReadySeconds']);
  if (set.status) {
    dropUnset(set.status, COUNTS);
    for (const field of REQUIRED_COUNTS) set.status[field] ??= 0;
  }
  spec.updateStrategy ??= {};
  const strategy = spec.updateStrategy;
  strategy.type ||= 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate ??= {};
    strategy.rollingUpdate.maxUnavailable ??= 1;
    strategy.rollingUpdate.maxSurge ??= 0;
  }
  spec.revisionHistoryLimit ??= 10;
  spec.template ??= {} as DaemonSet['spec']['template'];
  defaultPodTemplate(spec.template);
}

function validate({ spec }: DaemonSet): FieldError[] {
  const terms =
    Object.keys(spec.selector?.matchLabels ?? {}).length + (spec.selector?.matchExpressions?.length ?? 0);
  return [
    ...validateLabelSelector(spec.selector, 'spec.selector'),
    ...(spec.selector && terms === 0
      ? [invalid('spec.selector', spec.selector, 'empty selector is invalid for daemonset')]
      : []),
    ...validateTemplate(spec.template, spec.selector, 'DaemonSet'),
    ...validateNonnegative(spec.minReadySeconds, 'spec.minReadySeconds'),
    ...validateStrategy(spec.updateStrategy ?? {}, 'spec.updateStrategy'),
    ...validateNonnegative(spec.revisionHistoryLimit, 'spec.revisionHistoryLimit'),
  ];
}

/** One of the two amounts decides how an update goes on a node, so exactly one may be above 0 (KEP-1591). */
function validateStrategy(strategy: DaemonSetUpdateStrategy, path: string): FieldError[] {
  if (strategy.type === 'OnDelete') return [];
  if (strategy.type !== 'RollingUpdate') return [notSupported(path, strategy, ['RollingUpdate', 'OnDelete'])];
  const at = child(path, 'rollingUpdate');
  if (!strategy.rollingUpdate) return [required(at)];
  const { maxUnavailable, maxSurge } = strategy.rollingUpdate;
  const [unavailable, surge] = [sizeOf(maxUnavailable) > 0, sizeOf(maxSurge) > 0];
  const errors = [
    ...validateIntOrPercent(maxUnavailable, child(at, 'maxUnavailable')),
    ...validateIntOrPercent(maxSurge, child(at, 'maxSurge')),
    ...validateAtMostAll(maxUnavailable, child(at, 'maxUnavailable')),
    ...validateAtMostAll(maxSurge, child(at, 'maxSurge')),
  ];
  if (unavailable && surge)
    errors.push(invalid(child(at, 'maxSurge'), maxSurge, 'may not be set when maxUnavailable is non-zero'));
  if (!unavailable && !surge)
    errors.push(required(child(at, 'maxUnavailable'), 'cannot be 0 when maxSurge is 0'));
  return errors;
}

function validateStatus(set: DaemonSet, old: DaemonSet): FieldError[] {
  const status = set.status;
  const errors = [...REQUIRED_COUNTS, ...COUNTS].flatMap((field) =>
    validateNonnegative(status?.[field], child('status', field)),
  );
  const [now, before] = [status?.collisionCount, old.status?.collisionCount];
  errors.push(...validateNonnegative(now, 'status.collisionCount'));
  if (before !== undefined && (now ?? -1) < before)
    errors.push(invalid('status.collisionCount', now ?? 0, 'cannot be decremented'));
  return errors;
}

/** How often the template changed: the API counts it in an annotation, as it did before revisions existed. */
const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

function setTemplateGeneration(set: DaemonSet, generation: number): void {
  set.metadata.annotations = { ...set.metadata.annotations, [TEMPLATE_GENERATION]: String(generation) };
}

const templateGeneration = (set: DaemonSet): number =>
  Number(set.metadata.annotations?.[TEMPLATE_GENERATION] ?? 0) || 0;

const count = (name: string, description: string, field: keyof NonNullable<DaemonSet['status']>) => ({
  name,
  type: 'integer' as const,
  description,
  cell: ({ status }: DaemonSet) => (status?.[field] as number | undefined) ?? 0,
});

export const daemonSets = defineResource<DaemonSet>({
  group: 'apps',
  version: 'v1',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  shortNames: ['ds'],
  categories: ['all'],
  namespaced: true,
  generation: true,
  subresources: [{ name: 'status', kind: 'DaemonSet', verbs: ['get', 'patch', 'update'] }],
  defaults,
  prepareForCreate(set) {
    set.status = {
      currentNumberScheduled: 0,
      numberMisscheduled: 0,
      desiredNumberScheduled: 0,
      numberReady: 0,
    };
    if (templateGeneration(set) < 1) setTemplateGeneration(set, 1);
  },
  prepareForUpdate(set, old) {
    const changed = validateImmutable(set.spec.template, old.spec.template, '').length > 0;
    setTemplateGeneration(set, templateGeneration(old) + (changed ? 1 : 0));
  },
  prepareForStatusUpdate(set, old) {
    set.spec = old.spec;
  },
  validate,
  validateUpdate: (set, old) => validateImmutable(set.spec.selector, old.spec.selector, 'spec.selector'),
  validateStatusUpdate: validateStatus,
  warnings: templateWarnings,
  columns: [
    nameColumn,
    count('Desired', 'Nodes that should run the pod.', 'desiredNumberScheduled'),
    count('Current', 'Nodes that run at least one such pod and should.', 'currentNumberScheduled'),
    count('Ready', 'Nodes on which the pod is ready.', 'numberReady'),
    count('Up-to-date', 'Nodes that run the pod of the current template.', 'updatedNumberScheduled'),
    count('Available', 'Nodes on which the pod has been ready for long enough.', 'numberAvailable'),
    {
      name: 'Node Selector',
      type: 'string',
      description: 'Labels that a node must have to run the pod.',
      cell: ({ spec }) => formatLabels(spec.template.spec?.nodeSelector),
    },
    ageColumn,
    ...templateColumns<DaemonSet>(),
  ],
});
