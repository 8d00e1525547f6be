/** What custom.metrics.k8s.io and external.metrics.k8s.io tell, if a server of theirs is aggregated. Rejects in upstream's words. */
import type { LabelSelector } from '#types';
import { quantityMilli } from '../../api/machinery/quantity.js';
import { labelSelector } from '../../api/machinery/selectors.js';
import { isReason } from '../../api/machinery/status.js';
import type { Client } from '../../client/index.js';
import type { PodMetrics } from './replicas.js';

const CUSTOM = 'custom.metrics.k8s.io';
const EXTERNAL = 'external.metrics.k8s.io';
/** The better one first. */
const VERSIONS = ['v1beta2', 'v1beta1'];
const WINDOW_SECONDS = 60;

interface MetricValue {
  describedObject?: { name?: string };
  timestamp?: string;
  /** Of v1beta2 and of v1beta1. */
  windowSeconds?: number;
  window?: number;
  value: string;
}

export interface MetricName {
  name: string;
  selector?: LabelSelector;
}

/** By pod. */
export async function readPodMetric(
  client: Client,
  namespace: string,
  metric: MetricName,
  pods: string,
): Promise<PodMetrics> {
  const items = await custom(client, `namespaces/${namespace}/pods/*/${metric.name}`, metric, pods);
  if (items.length === 0) throw new Error('no metrics returned from custom metrics API');
  return new Map(
    items.map(({ describedObject, timestamp, windowSeconds, window, value }) => [
      describedObject?.name ?? '',
      {
        value: quantityMilli(value),
        time: Date.parse(timestamp ?? '') || 0,
        windowMs: (windowSeconds ?? window ?? WINDOW_SECONDS) * 1000,
      },
    ]),
  );
}

/** Of one object, in thousandths. `resource`: as in `ingresses.networking.k8s.io`. */
export async function readObjectMetric(
  client: Client,
  namespace: string,
  metric: MetricName,
  { resource, name }: { resource: string; name: string },
): Promise<number> {
  const path =
    resource === 'namespaces'
      ? `namespaces/${namespace}/metrics/${metric.name}`
      : `namespaces/${namespace}/${resource}/${name}/${metric.name}`;
  const items = await custom(client, path, metric);
  if (items.length !== 1)
    throw new Error(
      `unable to fetch metrics from custom metrics API: the custom metrics API server returned ${items.length} results when we asked for exactly one`,
    );
  return quantityMilli(items[0]!.value);
}

/** The sum of all series, in thousandths. */
export async function readExternalMetric(
  client: Client,
  namespace: string,
  { name, selector }: MetricName,
): Promise<number> {
  const path = `/apis/${EXTERNAL}/v1beta1/namespaces/${namespace}/${name}`;
  const query = { labelSelector: labelSelector(selector).toString() };
  const items = await fetchItems(client, path, query).catch((error) => {
    const where = isReason(error, 'NotFound') ? ` (get ${name}.${EXTERNAL})` : '';
    throw new Error(`unable to fetch metrics from external metrics API: ${(error as Error).message}${where}`);
  });
  if (items.length === 0) throw new Error('no metrics returned from external metrics API');
  return items.reduce((sum, { value }) => sum + quantityMilli(value), 0);
}

async function custom(
  client: Client,
  path: string,
  { selector }: MetricName,
  pods?: string,
): Promise<MetricValue[]> {
  try {
    const version = await customVersion(client);
    return await fetchItems(client, `/apis/${CUSTOM}/${version}/${path}`, {
      ...(pods === undefined ? {} : { labelSelector: pods }),
      metricLabelSelector: labelSelector(selector).toString(),
    });
  } catch (error) {
    throw new Error(`unable to fetch metrics from custom metrics API: ${(error as Error).message}`);
  }
}

async function fetchItems(
  { transport }: Client,
  path: string,
  query: Record<string, string>,
): Promise<MetricValue[]> {
  const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''));
  const list = await transport.request<any>({ method: 'GET', path, query: given });
  return list.items ?? [];
}

/** The version that the server prefers, of those that are known here. */
async function customVersion({ transport }: Client): Promise<string> {
  const group = await transport.request<any>({ method: 'GET', path: `/apis/${CUSTOM}` }).catch((error) => {
    if (isReason(error, 'NotFound')) return undefined;
    throw error;
  });
  const served: string[] = (group?.versions ?? []).map(({ version }: { version: string }) => version);
  const found = [group?.preferredVersion?.version, ...VERSIONS].find(
    (version) => VERSIONS.includes(version) && served.includes(version),
  );
  if (found === undefined) throw new Error(`no custom metrics API (${CUSTOM}) registered`);
  return found;
}
