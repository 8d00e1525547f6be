/** Evaluates the metrics of an autoscaler: what each proposes, and what is told of it. */
import type {
  AutoscalingV2HorizontalPodAutoscaler as Autoscaler,
  AutoscalingV2MetricSpec as MetricSpec,
  AutoscalingV2MetricStatus as MetricStatus,
  Pod,
} from '#types';
import { formatQuantity, quantityMilli } from '../../api/machinery/quantity.js';
import type { Client } from '../../client/index.js';
import { readMetrics } from './readings.js';
import { type Proposal, proposeReplicas, type Tolerances } from './replicas.js';

export interface Evaluation {
  /** The greatest proposal; undefined when nothing can be decided. */
  replicas?: number;
  /** What it comes from, such as `cpu resource utilization (percentage of request)`. */
  metric: string;
  statuses: MetricStatus[];
  /** The first metric that could not be read. */
  failure?: { reason: string; error: Error };
  /** Of all metrics. */
  error?: Error;
}

export interface Surroundings {
  client: Client;
  pods: readonly Pod[];
  /** Text form. */
  selector: string;
  currentReplicas: number;
  tolerances: Tolerances;
  now: number;
}

/** Never rejects: errors are part of what it tells. */
export async function evaluateMetrics(autoscaler: Autoscaler, around: Surroundings): Promise<Evaluation> {
  const result: Evaluation = { metric: '', statuses: [] };
  const metrics = autoscaler.spec.metrics ?? [];
  let failed = 0;
  for (const metric of metrics) {
    try {
      const { proposal, name, status } = await evaluate(autoscaler, metric, around);
      result.statuses.push(status);
      if (result.replicas !== undefined && proposal.replicas <= result.replicas) continue;
      result.replicas = proposal.replicas;
      result.metric = name;
    } catch (error) {
      failed++;
      // The statuses stand in the order of the metrics.
      result.statuses.push({ type: '' });
      result.failure ??= { reason: `FailedGet${metric.type}Metric`, error: error as Error };
    }
  }
  if (!result.failure) return result;
  result.error = new Error(
    `invalid metrics (${failed} invalid out of ${metrics.length}), first error is: ${result.failure.error.message}`,
  );
  // Nothing is taken away while a metric that may want more is not known.
  if (failed === metrics.length || (result.replicas ?? 0) < around.currentReplicas) delete result.replicas;
  return result;
}

async function evaluate(
  { metadata }: Autoscaler,
  metric: MetricSpec,
  { client, selector, pods, currentReplicas, tolerances, now }: Surroundings,
): Promise<{ proposal: Proposal; name: string; status: MetricStatus }> {
  const source = metric.resource ?? metric.containerResource;
  if (!source) throw new Error(unavailable(metric, metadata.namespace ?? ''));
  const { name: resource, target } = source;
  const container = metric.containerResource?.container;
  const kind = container === undefined ? 'resource' : 'container resource';
  const byUse = target.averageUtilization !== undefined;
  const what = byUse ? 'utilization' : 'usage';
  try {
    const metrics = await readMetrics(client, metadata.namespace ?? '', selector, resource, container).catch(
      (error) => {
        throw new Error(`unable to get metrics for resource ${resource}: ${(error as Error).message}`);
      },
    );
    const proposal = proposeReplicas({
      resource,
      container,
      target: byUse
        ? { utilization: target.averageUtilization! }
        : { average: quantityMilli(target.averageValue) },
      currentReplicas,
      pods,
      metrics,
      tolerances,
      now,
    });
    const name = `${resource} ${kind}${byUse ? ' utilization (percentage of request)' : ''}`;
    return { proposal, name, status: statusOf(metric, proposal) };
  } catch (error) {
    throw new Error(
      `failed to get ${resource} ${container === undefined ? '' : 'container '}${what}: ${(error as Error).message}`,
    );
  }
}

function statusOf({ type, resource, containerResource }: MetricSpec, proposal: Proposal): MetricStatus {
  const current = {
    ...(proposal.utilization === undefined ? {} : { averageUtilization: proposal.utilization }),
    averageValue: formatQuantity({ nano: BigInt(proposal.average) * 1_000_000n, format: 'DecimalSI' }),
  };
  return resource
    ? { type, resource: { name: resource.name, current } }
    : {
        type,
        containerResource: {
          name: containerResource!.name,
          container: containerResource!.container,
          current,
        },
      };
}

/** Nothing serves custom or external metrics. */
function unavailable(metric: MetricSpec, namespace: string): string {
  const name = (metric.pods ?? metric.object ?? metric.external)?.metric.name ?? '';
  const api = metric.type === 'External' ? 'external' : 'custom';
  return `unable to get metric ${name} in namespace ${namespace}: unable to fetch metrics from ${api} metrics API: the server could not find the requested resource`;
}
