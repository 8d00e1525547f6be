/**
 * HorizontalPodAutoscalers as autoscaling/v1 has them. They are stored as v2; what v1 has no field for travels
 * in annotations (upstream `pkg/apis/autoscaling/v1/conversion.go`).
 */
import type {
  HorizontalPodAutoscaler as AutoscalerV1,
  AutoscalingV2HorizontalPodAutoscaler as AutoscalerV2,
  AutoscalingV2MetricSpec as MetricSpec,
} from '#types';
import { defineResource } from '../define.js';
import {
  autoscalerColumns,
  defaultAutoscaler,
  horizontalPodAutoscalers,
  validateAutoscaler,
  validateAutoscalerStatus,
} from './horizontal-pod-autoscaler.js';
import { fromFlatSpec, fromFlatStatus, toFlatSpec, toFlatStatus } from './v1-metrics.js';

const PREFIX = 'autoscaling.alpha.kubernetes.io/';
const METRICS = `${PREFIX}metrics`;
const CURRENT_METRICS = `${PREFIX}current-metrics`;
const CONDITIONS = `${PREFIX}conditions`;
const BEHAVIOR = `${PREFIX}behavior`;
const ALL = [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR];

const isCpuShare = ({ resource }: MetricSpec): boolean =>
  resource?.name === 'cpu' && resource.target.averageUtilization !== undefined;

type Annotations = Record<string, string>;

const withAnnotations = <T extends { annotations?: Annotations }>(
  metadata: T,
  annotations: Annotations,
): T => {
  const { annotations: _, ...rest } = metadata;
  return (Object.keys(annotations).length > 0 ? { ...rest, annotations } : rest) as T;
};

/** A v2 object as v1. */
export function toV1(object: AutoscalerV2): AutoscalerV1 {
  const { metrics = [], behavior, ...spec } = object.spec;
  const { currentMetrics = [], conditions = [], ...status } = object.status ?? { desiredReplicas: 0 };
  const annotations: Annotations = { ...object.metadata.annotations };
  const cpu = metrics.find(isCpuShare);
  const others = metrics.filter((metric) => metric !== cpu);
  if (others.length > 0) annotations[METRICS] = JSON.stringify(others.map(toFlatSpec));
  if (currentMetrics.length > 0)
    annotations[CURRENT_METRICS] = JSON.stringify(currentMetrics.map(toFlatStatus));
  if (conditions.length > 0) annotations[CONDITIONS] = JSON.stringify(conditions);
  if (behavior) annotations[BEHAVIOR] = JSON.stringify(behavior);
  const current = currentMetrics.find((m) => m.resource?.name === 'cpu')?.resource?.current;
  return {
    apiVersion: 'autoscaling/v1',
    kind: object.kind,
    metadata: withAnnotations(object.metadata, annotations),
    spec: {
      ...spec,
      ...(cpu ? { targetCPUUtilizationPercentage: cpu.resource!.target.averageUtilization } : {}),
    },
    status: {
      ...status,
      currentReplicas: status.currentReplicas ?? 0,
      ...(current?.averageUtilization === undefined
        ? {}
        : { currentCPUUtilizationPercentage: current.averageUtilization }),
    },
  } as AutoscalerV1;
}

/** A v1 object as v2. Annotations that can't be read are dropped. */
export function fromV1(object: AutoscalerV1): AutoscalerV2 {
  const { targetCPUUtilizationPercentage: share, ...spec } = object.spec;
  const {
    currentCPUUtilizationPercentage: current,
    currentReplicas,
    ...status
  } = { desiredReplicas: 0, ...object.status };
  const carried = object.metadata.annotations ?? {};
  const read = <T>(name: string): T | undefined => {
    try {
      return carried[name] === undefined ? undefined : JSON.parse(carried[name]);
    } catch {
      return undefined;
    }
  };
  const metrics = (read<Parameters<typeof fromFlatSpec>[0][]>(METRICS) ?? []).map(fromFlatSpec);
  if (share !== undefined)
    metrics.push({
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: share } },
    });
  const currentMetrics = (read<Parameters<typeof fromFlatStatus>[0][]>(CURRENT_METRICS) ?? []).map(
    fromFlatStatus,
  );
  if (currentMetrics.length === 0 && current !== undefined)
    currentMetrics.push({
      type: 'Resource',
      resource: { name: 'cpu', current: { averageUtilization: current } },
    });
  const annotations = Object.fromEntries(Object.entries(carried).filter(([name]) => !ALL.includes(name)));
  const behavior = read<AutoscalerV2['spec']['behavior']>(BEHAVIOR);
  const conditions = read<object[]>(CONDITIONS);
  return {
    apiVersion: 'autoscaling/v2',
    kind: object.kind,
    metadata: withAnnotations(object.metadata, annotations),
    spec: { ...spec, ...(metrics.length > 0 ? { metrics } : {}), ...(behavior ? { behavior } : {}) },
    status: {
      ...(currentReplicas ? { currentReplicas } : {}),
      ...status,
      ...(currentMetrics.length > 0 ? { currentMetrics } : {}),
      ...(conditions ? { conditions } : {}),
    },
  } as AutoscalerV2;
}

export const horizontalPodAutoscalersV1 = defineResource<AutoscalerV1>({
  group: 'autoscaling',
  version: 'v1',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  shortNames: ['hpa'],
  categories: ['all'],
  namespaced: true,
  subresources: [{ name: 'status', kind: 'HorizontalPodAutoscaler', verbs: ['get', 'patch', 'update'] }],
  conversion: {
    storedApiVersion: horizontalPodAutoscalers.apiVersion,
    fromStored: (object) => toV1(object as AutoscalerV2),
    toStored(object) {
      const converted = fromV1(object as AutoscalerV1);
      defaultAutoscaler(converted);
      return converted;
    },
  },
  defaults(autoscaler) {
    autoscaler.spec ??= {} as AutoscalerV1['spec'];
    autoscaler.spec.minReplicas ??= 1;
  },
  prepareForCreate(autoscaler) {
    autoscaler.status = { currentReplicas: 0, desiredReplicas: 0 };
  },
  prepareForStatusUpdate(autoscaler, old) {
    autoscaler.spec = old.spec;
  },
  validate: (autoscaler) => validateAutoscaler(fromV1(autoscaler)),
  validateStatusUpdate: validateAutoscalerStatus,
  columns: autoscalerColumns<AutoscalerV1 & AutoscalerV2>((object) =>
    fromV1(object as unknown as AutoscalerV1),
  ) as never,
});
