/** Evaluates the metrics of an autoscaler: what each proposes, and what is told of it. */
import type {
  AutoscalingV2HorizontalPodAutoscaler as Autoscaler,
  AutoscalingV2MetricSpec as MetricSpec,
  AutoscalingV2MetricStatus as MetricStatus,
  Pod,
} from '#types';
import { quantityMilli } from '../../api/machinery/quantity.js';
import type { Client } from '../../client/index.js';
import type { CustomKinds } from '../custom-kinds.js';
import { evaluateExternal, evaluateObject, evaluatePods, milliText } from './custom-metrics.js';
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

export interface Evaluated {
  replicas: number;
  name: string;
  status: MetricStatus;
}

export interface Surroundings {
  client: Client;
  namespace: string;
  pods: readonly Pod[];
  /** Text form. */
  selector: string;
  /** What the target asks for, and what it says that it has. */
  currentReplicas: number;
  statusReplicas: number;
  tolerances: Tolerances;
  custom: CustomKinds;
  now: number;
}

/** Never rejects: errors are part of what it tells. */
export async function evaluateMetrics(autoscaler: Autoscaler, around: Surroundings): Promise<Evaluation> {
  const result: Evaluation = { metric: '', statuses: [] };
  const metrics = autoscaler.spec.metrics ?? [];
  let failed = 0;
  let first = '';
  for (const metric of metrics) {
    try {
      const { replicas, name, status } = await evaluate(metric, around);
      result.statuses.push(status);
      if (result.replicas !== undefined && replicas <= result.replicas) continue;
      result.replicas = replicas;
      result.metric = name;
    } catch (error) {
      failed++;
      // The statuses stand in the order of the metrics.
      result.statuses.push({ type: '' });
      if (result.failure) continue;
      result.failure = { reason: `FailedGet${metric.type}Metric`, error: error as Error };
      first = failureText(metric, (error as Error).message);
    }
  }
  if (!result.failure) return result;
  result.error = new Error(
    `invalid metrics (${failed} invalid out of ${metrics.length}), first error is: ${first}`,
  );
  // Nothing is taken away while a metric that may want more is not known.
  if (failed === metrics.length || (result.replicas ?? 0) < around.currentReplicas) delete result.replicas;
  return result;
}

function evaluate(metric: MetricSpec, around: Surroundings): Promise<Evaluated> {
  const { pods, object, external } = metric;
  if (pods) return evaluatePods(pods, around);
  if (object) return evaluateObject(object, around);
  if (external) return evaluateExternal(external, around);
  return evaluateResource(metric, around);
}

/** What is said of a metric that can't be read, beside the others. */
function failureText({ resource, containerResource, object, external }: MetricSpec, why: string): string {
  if (resource) return `failed to get ${resource.name} resource metric value: ${why}`;
  if (containerResource) return `failed to get ${containerResource.name} container metric value: ${why}`;
  if (external) {
    const { name } = external.metric;
    const average = external.target.averageValue !== undefined;
    const what = average ? `${name} external metric` : `external metric ${name}`;
    return `failed to get ${name} external metric value: failed to get ${what}: ${why}`;
  }
  if (!object) return `failed to get pods metric value: ${why}`;
  const inner =
    object.target.averageValue === undefined ? '' : `failed to get ${object.metric.name} object metric: `;
  return `failed to get object metric value: ${inner}${why}`;
}

async function evaluateResource(
  metric: MetricSpec,
  { client, namespace, selector, pods, currentReplicas, tolerances, now }: Surroundings,
): Promise<Evaluated> {
  const { name: resource, target } = (metric.resource ?? metric.containerResource)!;
  const container = metric.containerResource?.container;
  const kind = container === undefined ? 'resource' : 'container resource';
  const byUse = target.averageUtilization !== undefined;
  try {
    const metrics = await readMetrics(client, namespace, selector, resource, container).catch((error) => {
      throw new Error(`unable to get metrics for resource ${resource}: ${(error as Error).message}`);
    });
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
    return { replicas: proposal.replicas, name, status: statusOf(metric, proposal) };
  } catch (error) {
    const what = byUse ? 'utilization' : 'usage';
    throw new Error(`failed to get ${resource} ${what}: ${(error as Error).message}`);
  }
}

function statusOf({ type, resource, containerResource }: MetricSpec, proposal: Proposal): MetricStatus {
  const current = {
    ...(proposal.utilization === undefined ? {} : { averageUtilization: proposal.utilization }),
    averageValue: milliText(proposal.average),
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
