/** Metrics in the flat form of autoscaling/v1, which carries them in annotations, and in that of v2. */
import type {
  MetricSpec as FlatSpec,
  MetricStatus as FlatStatus,
  AutoscalingV2MetricSpec as MetricSpec,
  AutoscalingV2MetricStatus as MetricStatus,
  MetricTarget,
} from '#types';

/** Without fields that are undefined. */
const compact = <T extends object>(object: T): T => JSON.parse(JSON.stringify(object));

function targetOf(value?: string, average?: string, utilization?: number): MetricTarget {
  const type = utilization !== undefined ? 'Utilization' : average !== undefined ? 'AverageValue' : 'Value';
  return compact({ type, value, averageValue: average, averageUtilization: utilization });
}

export function toFlatSpec(metric: MetricSpec): FlatSpec {
  const { type, resource, containerResource, pods, object, external } = metric;
  return compact({
    type,
    resource: resource && {
      name: resource.name,
      targetAverageUtilization: resource.target.averageUtilization,
      targetAverageValue: resource.target.averageValue,
    },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      targetAverageUtilization: containerResource.target.averageUtilization,
      targetAverageValue: containerResource.target.averageValue,
    },
    pods: pods && {
      metricName: pods.metric.name,
      selector: pods.metric.selector,
      targetAverageValue: pods.target.averageValue,
    },
    object: object && {
      target: object.describedObject,
      metricName: object.metric.name,
      selector: object.metric.selector,
      targetValue: object.target.value ?? '0',
      averageValue: object.target.averageValue,
    },
    external: external && {
      metricName: external.metric.name,
      metricSelector: external.metric.selector,
      targetValue: external.target.value,
      targetAverageValue: external.target.averageValue,
    },
  }) as FlatSpec;
}

export function fromFlatSpec(flat: FlatSpec): MetricSpec {
  const { type, resource, containerResource, pods, object, external } = flat;
  return compact({
    type,
    resource: resource && {
      name: resource.name,
      target: targetOf(undefined, resource.targetAverageValue, resource.targetAverageUtilization),
    },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      target: targetOf(
        undefined,
        containerResource.targetAverageValue,
        containerResource.targetAverageUtilization,
      ),
    },
    pods: pods && {
      metric: { name: pods.metricName, selector: pods.selector },
      target: targetOf(undefined, pods.targetAverageValue),
    },
    object: object && {
      describedObject: object.target,
      metric: { name: object.metricName, selector: object.selector },
      target: object.averageValue ? targetOf(undefined, object.averageValue) : targetOf(object.targetValue),
    },
    external: external && {
      metric: { name: external.metricName, selector: external.metricSelector },
      target: targetOf(external.targetValue, external.targetAverageValue),
    },
  }) as MetricSpec;
}

export function toFlatStatus(metric: MetricStatus): FlatStatus {
  const { type, resource, containerResource, pods, object, external } = metric;
  return compact({
    type,
    resource: resource && {
      name: resource.name,
      currentAverageUtilization: resource.current.averageUtilization,
      currentAverageValue: resource.current.averageValue ?? '0',
    },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      currentAverageUtilization: containerResource.current.averageUtilization,
      currentAverageValue: containerResource.current.averageValue ?? '0',
    },
    pods: pods && {
      metricName: pods.metric.name,
      selector: pods.metric.selector,
      currentAverageValue: pods.current.averageValue ?? '0',
    },
    object: object && {
      target: object.describedObject,
      metricName: object.metric.name,
      selector: object.metric.selector,
      currentValue: object.current.value ?? '0',
      averageValue: object.current.averageValue,
    },
    external: external && {
      metricName: external.metric.name,
      metricSelector: external.metric.selector,
      currentValue: external.current.value ?? '0',
      currentAverageValue: external.current.averageValue,
    },
  }) as FlatStatus;
}

export function fromFlatStatus(flat: FlatStatus): MetricStatus {
  const { type, resource, containerResource, pods, object, external } = flat;
  const ofResource = (r: typeof resource) =>
    r && { averageUtilization: r.currentAverageUtilization, averageValue: r.currentAverageValue };
  return compact({
    type,
    resource: resource && { name: resource.name, current: ofResource(resource) },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      current: ofResource(containerResource),
    },
    pods: pods && {
      metric: { name: pods.metricName, selector: pods.selector },
      current: { averageValue: pods.currentAverageValue },
    },
    object: object && {
      describedObject: object.target,
      metric: { name: object.metricName, selector: object.selector },
      current: { value: object.currentValue, averageValue: object.averageValue },
    },
    external: external && {
      metric: { name: external.metricName, selector: external.metricSelector },
      current: { value: external.currentValue, averageValue: external.currentAverageValue },
    },
  }) as MetricStatus;
}
