/** What metrics of type Pods, Object and External propose (upstream `computeStatusFor…Metric`). */
import type {
  AutoscalingV2ExternalMetricSource as ExternalSource,
  AutoscalingV2MetricStatus as MetricStatus,
  AutoscalingV2ObjectMetricSource as ObjectSource,
  Pod,
  AutoscalingV2PodsMetricSource as PodsSource,
} from '#types';
import { formatQuantity, quantityMilli } from '../../api/machinery/quantity.js';
import { goSelectorText } from '../../api/machinery/selectors.js';
import { resourceOfKind } from '../custom-kinds.js';
import { isPodReady } from '../pods.js';
import { type MetricName, readExternalMetric, readObjectMetric, readPodMetric } from './custom-readings.js';
import type { Evaluated, Surroundings } from './metrics.js';
import { proposeReplicas, type Tolerances, within } from './replicas.js';

export const milliText = (milli: number): string =>
  formatQuantity({ nano: BigInt(Math.trunc(milli)) * 1_000_000n, format: 'DecimalSI' });

export async function evaluatePods(
  { metric, target }: PodsSource,
  { client, namespace, selector, pods, currentReplicas, tolerances, now }: Surroundings,
): Promise<Evaluated> {
  const metrics = await readPodMetric(client, namespace, metric as MetricName, selector).catch((error) => {
    throw new Error(`unable to get metric ${metric.name}: ${(error as Error).message}`);
  });
  const average = quantityMilli(target.averageValue);
  const proposal = proposeReplicas({
    resource: '',
    target: { average },
    currentReplicas,
    pods,
    metrics,
    tolerances,
    now,
  });
  const current = { averageValue: milliText(proposal.average) };
  return {
    replicas: proposal.replicas,
    name: `pods metric ${metric.name}`,
    status: { type: 'Pods', pods: { metric, current } },
  };
}

export async function evaluateObject(
  { metric, target, describedObject }: ObjectSource,
  around: Surroundings,
): Promise<Evaluated> {
  const { client, namespace, custom } = around;
  const { apiVersion = 'v1', kind, name } = describedObject;
  const read = async () => {
    const found = resourceOfKind(apiVersion, kind, custom);
    if (!found) throw new Error(`unable to map kind ${JSON.stringify(kind)} to resource`);
    const resource = found.group === '' ? found.plural : `${found.plural}.${found.group}`;
    return readObjectMetric(client, namespace, metric as MetricName, { resource, name });
  };
  const usage = await read().catch((error) => {
    // Upstream's format has its words in this order.
    throw new Error(
      `unable to get metric ${metric.name}: ${kind} on ${namespace} ${name}/${(error as Error).message}`,
    );
  });
  const status = (current: object): MetricStatus =>
    ({ type: 'Object', object: { metric, describedObject, current } }) as MetricStatus;
  if (target.averageValue !== undefined) {
    const { replicas, average } = perPod(usage, quantityMilli(target.averageValue), around);
    return {
      replicas,
      name: sourceText(metric as MetricName),
      status: status({ averageValue: milliText(average) }),
    };
  }
  return {
    replicas: byRatio(usage / quantityMilli(target.value), around),
    name: `${kind} metric ${metric.name}`,
    status: status({ value: milliText(usage) }),
  };
}

export async function evaluateExternal(
  { metric, target }: ExternalSource,
  around: Surroundings,
): Promise<Evaluated> {
  const { client, namespace } = around;
  const usage = await readExternalMetric(client, namespace, metric as MetricName).catch((error) => {
    throw new Error(
      `unable to get external metric ${namespace}/${metric.name}/${printed(metric as MetricName)}: ${(error as Error).message}`,
    );
  });
  const name = sourceText(metric as MetricName);
  const status = (current: object): MetricStatus =>
    ({ type: 'External', external: { metric, current } }) as MetricStatus;
  if (target.averageValue !== undefined) {
    const { replicas, average } = perPod(usage, quantityMilli(target.averageValue), around);
    return { replicas, name, status: status({ averageValue: milliText(average) }) };
  }
  const replicas = byRatio(usage / quantityMilli(target.value), around);
  return { replicas, name, status: status({ value: milliText(usage) }) };
}

const printed = ({ selector }: MetricName): string => (selector ? goSelectorText(selector) : 'nil');

const sourceText = (metric: MetricName): string => `external metric ${metric.name}(${printed(metric)})`;

/** A share for each pod, of as many as the target tells that it has. */
function perPod(
  usage: number,
  target: number,
  { statusReplicas, tolerances }: { statusReplicas: number; tolerances: Tolerances },
): { replicas: number; average: number } {
  const ratio = usage / (target * statusReplicas);
  const replicas = within(ratio, tolerances) ? statusReplicas : Math.ceil(usage / target);
  return { replicas, average: statusReplicas > 0 ? Math.ceil(usage / statusReplicas) : usage };
}

/** So many times the pods that are ready; of none it is taken to be one. */
export function byRatio(
  ratio: number,
  {
    currentReplicas,
    tolerances,
    pods,
  }: Pick<Surroundings, 'currentReplicas' | 'tolerances'> & { pods: readonly Pod[] },
): number {
  if (currentReplicas === 0) return Math.ceil(ratio);
  if (within(ratio, tolerances)) return currentReplicas;
  if (pods.length === 0)
    throw new Error(
      'unable to calculate ready pods: no pods returned by selector while calculating replica count',
    );
  return Math.ceil(ratio * pods.filter((pod) => pod.status?.phase === 'Running' && isPodReady(pod)).length);
}
