/** Validation of a HorizontalPodAutoscaler's metrics and behavior (upstream `pkg/apis/autoscaling/validation`). */
import type {
  HorizontalPodAutoscalerBehavior,
  HPAScalingRules,
  MetricIdentifier,
  AutoscalingV2MetricSpec as MetricSpec,
  MetricTarget,
} from '#types';
import {
  child,
  type FieldError,
  forbidden,
  index,
  invalid,
  notSupported,
  required,
} from '../../machinery/field.js';
import { pathSegment } from '../../machinery/names.js';
import { compareQuantities } from '../../machinery/quantity.js';

const FIELDS = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
} as const;
const TARGET_TYPES = ['Utilization', 'Value', 'AverageValue'];
const MAX_WINDOW_SECONDS = 3600;
const MAX_PERIOD_SECONDS = 1800;

export function validateMetrics(metrics: MetricSpec[], path: string): FieldError[] {
  return metrics.flatMap((metric, i) => validateMetric(metric, index(path, i)));
}

function validateMetric(metric: MetricSpec, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const types = Object.keys(FIELDS);
  const at = child(path, 'type');
  if (!metric.type) errors.push(required(at, 'must specify a metric source type'));
  if (!types.includes(metric.type)) errors.push(notSupported(at, metric.type ?? '', types));
  const present = Object.values(FIELDS).filter((field) => metric[field] !== undefined);
  if (present.length > 0) errors.push(...validateSource(metric, present[0]!, child(path, present[0]!)));
  const expected = FIELDS[metric.type as keyof typeof FIELDS];
  if (expected === undefined) return errors;
  if (!present.includes(expected))
    errors.push(required(child(path, expected), 'must populate information for the given metric source'));
  if (present.length !== 1)
    for (const field of present)
      if (field !== expected)
        errors.push(forbidden(child(path, field), 'must populate the given metric source only'));
  return errors;
}

type SourceField = (typeof FIELDS)[keyof typeof FIELDS];

function validateSource(metric: MetricSpec, field: SourceField, path: string): FieldError[] {
  switch (field) {
    case 'resource':
      return validateResource(metric.resource!, path);
    case 'containerResource': {
      const { container } = metric.containerResource!;
      const missing = container ? [] : [required(child(path, 'container'), 'must specify a container')];
      return [...missing, ...validateResource(metric.containerResource!, path)];
    }
    case 'pods': {
      const { metric: id, target } = metric.pods!;
      const missing =
        target?.averageValue === undefined || compareQuantities(target.averageValue, 0) <= 0
          ? [required(child(path, 'target', 'averageValue'), 'must specify a positive target averageValue')]
          : [];
      return [...validateIdentifier(id, path), ...validateTarget(target, child(path, 'target')), ...missing];
    }
    case 'object': {
      const { describedObject, metric: id, target } = metric.object!;
      return [
        ...validateReference(describedObject, child(path, 'describedObject')),
        ...validateIdentifier(id, path),
        ...validateTarget(target, child(path, 'target')),
        ...validateValues(target, path),
      ];
    }
    case 'external': {
      const { metric: id, target } = metric.external!;
      return [
        ...validateIdentifier(id, path),
        ...validateTarget(target, child(path, 'target')),
        ...validateValues(target, path),
      ];
    }
  }
}

function validateIdentifier(id: MetricIdentifier | undefined, path: string): FieldError[] {
  const at = child(path, 'metric', 'name');
  if (!id?.name) return [required(at, 'must specify a metric name')];
  return pathSegment(id.name).map((message) => invalid(at, id.name, message));
}

function validateValues(target: MetricTarget | undefined, path: string): FieldError[] {
  const at = child(path, 'target', 'averageValue');
  if (target?.value === undefined && target?.averageValue === undefined)
    return [required(at, 'must set either a target value for metric or a per-pod target')];
  if (target.value !== undefined && target.averageValue !== undefined)
    return [
      forbidden(
        child(path, 'target', 'value'),
        'may not set both a target value for metric and a per-pod target',
      ),
    ];
  return [];
}

function validateResource(
  { name, target }: { name: string; target: MetricTarget },
  path: string,
): FieldError[] {
  const errors = name ? [] : [required(child(path, 'name'), 'must specify a resource name')];
  const at = (field: string) => child(path, 'target', field);
  errors.push(...validateTarget(target, child(path, 'target')));
  const { averageUtilization, averageValue } = target ?? {};
  if (averageUtilization === undefined && averageValue === undefined)
    errors.push(
      required(at('averageUtilization'), 'must set either a target raw value or a target utilization'),
    );
  if (averageUtilization !== undefined && averageValue !== undefined)
    errors.push(
      forbidden(at('averageValue'), 'may not set both a target raw value and a target utilization'),
    );
  return errors;
}

function validateTarget(target: MetricTarget | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const type = target?.type;
  if (!type) errors.push(required(child(path, 'type'), 'must specify a metric target type'));
  if (!TARGET_TYPES.includes(type ?? ''))
    errors.push(
      invalid(child(path, 'type'), type ?? '', 'must be either Utilization, Value, or AverageValue'),
    );
  for (const field of ['value', 'averageValue'] as const) {
    const value = target?.[field];
    if (value !== undefined && compareQuantities(value, 0) <= 0)
      errors.push(invalid(child(path, field), value, 'must be positive'));
  }
  const utilization = target?.averageUtilization;
  if (utilization !== undefined && utilization < 1)
    errors.push(invalid(child(path, 'averageUtilization'), utilization, 'must be greater than 0'));
  return errors;
}

/** Kind and name of what is scaled or described. */
export function validateReference(
  reference: { kind?: string; name?: string } | undefined,
  path: string,
): FieldError[] {
  return (['kind', 'name'] as const).flatMap((field) => {
    const value = reference?.[field];
    if (!value) return [required(child(path, field))];
    return pathSegment(value).map((message) => invalid(child(path, field), value, message));
  });
}

export function validateBehavior(behavior: HorizontalPodAutoscalerBehavior, path: string): FieldError[] {
  return (['scaleUp', 'scaleDown'] as const).flatMap((field) => {
    const rules = behavior[field];
    return rules ? validateRules(rules, child(path, field)) : [];
  });
}

function validateRules(rules: HPAScalingRules, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { stabilizationWindowSeconds: window, selectPolicy, policies = [], tolerance } = rules;
  const at = child(path, 'stabilizationWindowSeconds');
  if (window !== undefined && window < 0)
    errors.push(invalid(at, window, 'must be greater than or equal to zero'));
  if (window !== undefined && window > MAX_WINDOW_SECONDS)
    errors.push(invalid(at, window, `must be less than or equal to ${MAX_WINDOW_SECONDS}`));
  const selections = ['Disabled', 'Max', 'Min'];
  if (selectPolicy !== undefined && !selections.includes(selectPolicy))
    errors.push(notSupported(child(path, 'selectPolicy'), selectPolicy, selections));
  if (policies.length === 0)
    errors.push(required(child(path, 'policies'), 'must specify at least one Policy'));
  policies.forEach(({ type, value, periodSeconds }, i) => {
    const policy = index(child(path, 'policies'), i);
    if (type !== 'Pods' && type !== 'Percent')
      errors.push(notSupported(child(policy, 'type'), type ?? '', ['Percent', 'Pods']));
    if (!(value > 0)) errors.push(invalid(child(policy, 'value'), value ?? 0, 'must be greater than zero'));
    if (!(periodSeconds > 0))
      errors.push(invalid(child(policy, 'periodSeconds'), periodSeconds ?? 0, 'must be greater than zero'));
    if (periodSeconds > MAX_PERIOD_SECONDS)
      errors.push(
        invalid(
          child(policy, 'periodSeconds'),
          periodSeconds,
          `must be less than or equal to ${MAX_PERIOD_SECONDS}`,
        ),
      );
  });
  if (tolerance !== undefined && compareQuantities(tolerance, 0) < 0)
    errors.push(invalid(child(path, 'tolerance'), tolerance, 'must be greater or equal to 0'));
  return errors;
}
