/** Answers reads of NodeMetrics and PodMetrics from what the agents measure (as metrics-server does). */
import type { Node, Pod } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { formatQuantity } from '../../api/machinery/quantity.js';
import { notFound } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { nodes, pods } from '../../api/resources/index.js';
import {
  type NodeMetrics,
  nodeMetrics,
  type PodMetrics,
  podMetrics,
  type UsageList,
} from '../../api/resources/metrics/metrics.js';
import type { NodeUsage, PodUsage, Usage } from '../../hub/usage.js';
import type { Context, Result } from '../context.js';
import { compileFilter } from '../handlers/filter.js';
import { listQuery } from '../handlers/query.js';
import { keyOf, prefixOf } from '../keys.js';
import { page, single } from './results.js';

export async function getNodeMetrics(ctx: Context): Promise<Result> {
  const { name } = ctx.attributes;
  const node = ctx.store.get(keyOf(nodes, '', name))?.object as Node | undefined;
  if (!node) throw notFound({ group: '', resource: 'nodes' }, name);
  const usage = await ctx.metrics?.usageOf(name);
  if (!usage) throw notFound({ group: nodeMetrics.group, resource: 'nodemetrics' }, name);
  return single(metricsOfNode(node, usage));
}

export async function listNodeMetrics(ctx: Context): Promise<Result> {
  const found = await selected<Node>(ctx, prefixOf(nodes, ''));
  const usages = await Promise.all(found.map(({ metadata }) => ctx.metrics?.usageOf(metadata.name)));
  return page(
    ctx,
    found.flatMap((node, i) => (usages[i] ? [metricsOfNode(node, usages[i])] : [])),
  );
}

export async function getPodMetrics(ctx: Context): Promise<Result> {
  const { namespace, name } = ctx.attributes;
  const pod = ctx.store.get(keyOf(pods, namespace, name))?.object as Pod | undefined;
  if (!pod) throw notFound({ group: '', resource: 'pods' }, `${namespace}/${name}`);
  const [metrics] = await metricsOfPods(ctx, [pod]);
  if (!metrics) throw notFound({ group: podMetrics.group, resource: 'podmetrics' }, `${namespace}/${name}`);
  return single(metrics);
}

export async function listPodMetrics(ctx: Context): Promise<Result> {
  const found = await selected<Pod>(ctx, prefixOf(pods, ctx.attributes.namespace));
  return page(ctx, await metricsOfPods(ctx, found));
}

/** The objects that the request's selectors choose. */
async function selected<T extends KubeObject>(ctx: Context, prefix: string): Promise<T[]> {
  const { labelSelector, fieldSelector } = listQuery(ctx.call.query, false);
  const filter = compileFilter(ctx.resource, labelSelector, fieldSelector);
  const { items } = await ctx.store.list(prefix);
  return items.map((stored) => stored.object).filter((object) => filter.matches(object)) as T[];
}

/** Only the nodes of these pods are asked. */
async function metricsOfPods(ctx: Context, found: Pod[]): Promise<PodMetrics[]> {
  const running = found.filter((pod) => pod.status?.phase === 'Running' && pod.spec.nodeName);
  const names = [...new Set(running.map((pod) => pod.spec.nodeName!))];
  const byUid = new Map<string, { usage: NodeUsage; pod: PodUsage }>();
  await Promise.all(
    names.map(async (name) => {
      const usage = await ctx.metrics?.usageOf(name);
      for (const pod of usage?.pods ?? []) byUid.set(pod.uid, { usage: usage!, pod });
    }),
  );
  return running.flatMap((pod) => {
    const known = byUid.get(pod.metadata.uid ?? '');
    return known ? [metricsOfPod(pod, known.usage, known.pod)] : [];
  });
}

function metricsOfNode(node: Node, usage: NodeUsage): NodeMetrics {
  return {
    kind: nodeMetrics.kind,
    apiVersion: nodeMetrics.apiVersion,
    ...head(node, usage),
    usage: quantities(usage.node),
  };
}

function metricsOfPod(pod: Pod, usage: NodeUsage, { windowMs, containers }: PodUsage): PodMetrics {
  return {
    kind: podMetrics.kind,
    apiVersion: podMetrics.apiVersion,
    ...head(pod, { time: usage.time, windowMs }),
    containers: containers.map(({ name, ...used }) => ({ name, usage: quantities(used) })),
  };
}

function head({ metadata }: KubeObject, { time, windowMs }: Pick<NodeUsage, 'time' | 'windowMs'>) {
  const { name, namespace, labels } = metadata;
  return {
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      creationTimestamp: timestamp(time),
      ...(labels ? { labels } : {}),
    },
    timestamp: timestamp(time),
    window: goDuration(windowMs),
  };
}

/** As Go's `time.Duration` is written: `1.5s`, `1m0.25s`. */
function goDuration(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  return `${minutes > 0 ? `${minutes}m` : ''}${(ms - minutes * 60_000) / 1000}s`;
}

const quantities = ({ cpuNanoCores, memoryBytes }: Usage): UsageList => ({
  cpu: formatQuantity({ nano: BigInt(cpuNanoCores), format: 'DecimalSI' }),
  memory: formatQuantity({ nano: BigInt(memoryBytes) * 1_000_000_000n, format: 'BinarySI' }),
});
