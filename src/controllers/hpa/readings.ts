/** What metrics.k8s.io tells of the pods of a target. */
import { quantityMilli } from '../../api/machinery/quantity.js';
import { podMetrics } from '../../api/resources/metrics/metrics.js';
import type { Client } from '../../client/index.js';
import type { PodMetrics } from './replicas.js';

/** The use of a resource by each pod, or by one container of each. Rejects, in upstream's words, when there is none. */
export async function readMetrics(
  client: Client,
  namespace: string,
  labelSelector: string,
  resource: string,
  container: string | undefined,
): Promise<PodMetrics> {
  const found = await list(client, namespace, labelSelector);
  if (found.length === 0) throw new Error('no metrics returned from resource metrics API');
  const metrics: PodMetrics = new Map();
  for (const { metadata, timestamp, window, containers } of found) {
    const counted = containers.filter(({ name }) => container === undefined || name === container);
    if (counted.length === 0)
      throw new Error(`container ${container} not present in metrics for pod ${namespace}/${metadata.name}`);
    metrics.set(metadata.name, {
      value: counted.reduce((sum, c) => sum + quantityMilli(c.usage[resource as 'cpu']), 0),
      time: Date.parse(timestamp),
      windowMs: windowMs(window),
    });
  }
  return metrics;
}

async function list(client: Client, namespace: string, labelSelector: string) {
  try {
    return (await client.of(podMetrics).list({ namespace, labelSelector })).items;
  } catch (error) {
    throw new Error(`unable to fetch metrics from resource metrics API: ${(error as Error).message}`);
  }
}

/** A duration such as `1m0.5s`. */
function windowMs(text: string): number {
  const [, minutes = '0', seconds = '0'] = /^(?:(\d+)m)?(?:([\d.]+)s)?$/.exec(text) ?? [];
  return Number(minutes) * 60_000 + Number(seconds) * 1000;
}
