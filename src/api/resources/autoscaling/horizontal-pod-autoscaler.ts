/** HorizontalPodAutoscalers, as autoscaling/v2 has and stores them. */
import type {
  AutoscalingV2HorizontalPodAutoscaler as Autoscaler,
  HPAScalingRules,
  AutoscalingV2MetricSpec as MetricSpec,
  MetricTarget,
  MetricValueStatus,
} from '#types';
import { child, type FieldError, invalid } from '../../machinery/field.js';
import { validateNonnegative } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { type Column, defineResource } from '../define.js';
import { dropUnset } from '../unset.js';
import { validateBehavior, validateMetrics, validateReference } from './metrics-validation.js';

/** CPU, as a share of what is requested, where no metric is named. */
const DEFAULT_METRIC: MetricSpec = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
};

const SCALE_UP = (): HPAScalingRules => ({
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
});

const SCALE_DOWN = (): HPAScalingRules => ({
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
});

/** The rules that hold when a behavior leaves some of them out. */
export function defaultBehavior(behavior: { scaleUp?: HPAScalingRules; scaleDown?: HPAScalingRules } = {}): {
  scaleUp: HPAScalingRules;
  scaleDown: HPAScalingRules;
} {
  return {
    scaleUp: { ...SCALE_UP(), ...behavior.scaleUp },
    scaleDown: { ...SCALE_DOWN(), ...behavior.scaleDown },
  };
}

export function defaultAutoscaler(autoscaler: Autoscaler): void {
  autoscaler.spec ??= {} as Autoscaler['spec'];
  const { spec } = autoscaler;
  spec.minReplicas ??= 1;
  if (!spec.metrics?.length) spec.metrics = [structuredClone(DEFAULT_METRIC)];
  if (spec.behavior) spec.behavior = defaultBehavior(spec.behavior);
  if (autoscaler.status) {
    autoscaler.status.desiredReplicas ??= 0;
    dropUnset(autoscaler.status, ['currentReplicas']);
  }
}

/** All errors of a v2 object. */
export function validateAutoscaler({ spec }: Autoscaler): FieldError[] {
  const errors: FieldError[] = [];
  const { minReplicas, maxReplicas = 0 } = spec;
  const at = (field: string) => child('spec', field);
  if (minReplicas !== undefined && minReplicas < 1)
    errors.push(invalid(at('minReplicas'), minReplicas, 'must be greater than or equal to 1'));
  if (maxReplicas < 1) errors.push(invalid(at('maxReplicas'), maxReplicas, 'must be greater than 0'));
  if (minReplicas !== undefined && maxReplicas < minReplicas)
    errors.push(invalid(at('maxReplicas'), maxReplicas, 'must be greater than or equal to `minReplicas`'));
  errors.push(
    ...validateReference(spec.scaleTargetRef, at('scaleTargetRef')),
    ...validateMetrics(spec.metrics ?? [], at('metrics')),
  );
  if (spec.behavior) errors.push(...validateBehavior(spec.behavior, at('behavior')));
  return errors;
}

/** Counts of both versions; v2's status has no more to check. */
export const validateAutoscalerStatus = ({
  status,
}: {
  status?: { currentReplicas?: number; desiredReplicas?: number };
}): FieldError[] => [
  ...validateNonnegative(status?.currentReplicas, 'status.currentReplicas'),
  ...validateNonnegative(status?.desiredReplicas, 'status.desiredReplicas'),
];

/** `current/target` of one metric, as `kubectl get` shows it. */
function target(metric: MetricSpec, current: MetricValueStatus | undefined): string {
  const { name, goal } = goalOf(metric);
  const prefix = name === undefined ? '' : `${name}: `;
  if (name !== undefined && goal?.averageValue === undefined) {
    const wanted = goal?.averageUtilization === undefined ? '<auto>' : `${goal.averageUtilization}%`;
    const actual = current?.averageUtilization === undefined ? '<unknown>' : `${current.averageUtilization}%`;
    return `${prefix}${actual}/${wanted}`;
  }
  const average = goal?.averageValue !== undefined;
  const actual = (average ? current?.averageValue : current?.value) ?? '<unknown>';
  const suffix = average && name === undefined && metric.type !== 'Pods' ? ' (avg)' : '';
  return `${prefix}${actual}/${average ? goal.averageValue : goal?.value}${suffix}`;
}

/** The resource that a metric is of, if it is one of a resource, and what it should be. */
function goalOf(metric: MetricSpec): { name: string | undefined; goal: MetricTarget | undefined } {
  const resource = metric.resource ?? metric.containerResource;
  const goal = (resource ?? metric.pods ?? metric.object ?? metric.external)?.target;
  return { name: resource?.name, goal };
}

function targets({ spec, status }: Autoscaler): string {
  const metrics = spec.metrics ?? [];
  if (metrics.length === 0) return '<none>';
  const texts = metrics.map((metric, i) => {
    const now = status?.currentMetrics?.[i];
    const values = now?.resource ?? now?.containerResource ?? now?.pods ?? now?.object ?? now?.external;
    return target(metric, values?.current);
  });
  const shown = texts.slice(0, 2).join(', ');
  return texts.length > 2 ? `${shown} + ${texts.length - 2} more...` : shown;
}

export const autoscalerColumns = <T extends Autoscaler>(toV2: (object: T) => Autoscaler): Column<T>[] => [
  nameColumn,
  {
    name: 'Reference',
    type: 'string',
    description: 'What is scaled.',
    cell: ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`,
  },
  {
    name: 'Targets',
    type: 'string',
    description: 'Metrics as they are, and as they should be.',
    cell: (object) => targets(toV2(object)),
  },
  {
    name: 'MinPods',
    type: 'string',
    description: 'The fewest replicas.',
    cell: ({ spec }) => (spec.minReplicas === undefined ? '<unset>' : `${spec.minReplicas}`),
  },
  {
    name: 'MaxPods',
    type: 'string',
    description: 'The most replicas.',
    cell: ({ spec }) => spec.maxReplicas,
  },
  {
    name: 'Replicas',
    type: 'string',
    description: 'Replicas there are.',
    cell: ({ status }) => status?.currentReplicas ?? 0,
  },
  ageColumn,
];

export const horizontalPodAutoscalers = defineResource<Autoscaler>({
  group: 'autoscaling',
  version: 'v2',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  shortNames: ['hpa'],
  categories: ['all'],
  namespaced: true,
  subresources: [{ name: 'status', kind: 'HorizontalPodAutoscaler', verbs: ['get', 'patch', 'update'] }],
  defaults: defaultAutoscaler,
  prepareForCreate(autoscaler) {
    autoscaler.status = { desiredReplicas: 0 } as Autoscaler['status'];
  },
  prepareForStatusUpdate(autoscaler, old) {
    autoscaler.spec = old.spec;
  },
  validate: validateAutoscaler,
  validateStatusUpdate: validateAutoscalerStatus,
  columns: autoscalerColumns<Autoscaler>((object) => object),
});
