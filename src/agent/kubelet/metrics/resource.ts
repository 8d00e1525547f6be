/**
 * `/metrics/resource`: CPU and memory of node, pods and containers, as metrics-server reads them.
 * @see https://kubernetes.io/docs/reference/instrumentation/node-metrics/
 */
import { sampleMachine } from '../../node/usage.js';
import type { Call } from '../answers.js';
import { memoryInfo } from '../stats/files.js';
import { lookAtPods } from '../stats/look.js';
import { type Family, type Sample, writeMetrics } from './exposition.js';

export async function resourceMetrics(call: Call): Promise<void> {
  const { pods, failed } = await lookAtPods(call.deps);
  const machine = sampleMachine(Date.now());
  const info = memoryInfo();
  const ofPods = (value: (look: (typeof pods)[number]) => number): Sample[] =>
    pods.map((look) => {
      const { namespace = '', name: pod = '' } = look.pod.metadata;
      return { labels: { namespace, pod }, value: value(look), time: look.time };
    });
  type Container = (typeof pods)[number]['containers'][number];
  const ofContainers = (value: (look: Container) => number, timed = true): Sample[] =>
    pods.flatMap(({ pod, containers }) =>
      containers.map((look) => {
        const { namespace = '', name = '' } = pod.metadata;
        const labels = { container: look.status.name, namespace, pod: name };
        return { labels, value: value(look), ...(timed ? { time: look.time } : {}) };
      }),
    );
  const family = (name: string, type: Family['type'], help: string, samples: Sample[]): Family => ({
    ...{ name, type, help, samples },
  });
  writeMetrics(call, [
    family(
      'container_cpu_usage_seconds_total',
      'counter',
      '[STABLE] Cumulative cpu time consumed by the container in core-seconds',
      ofContainers(({ stats }) => stats.cpuNanos / 1e9),
    ),
    family(
      'container_memory_working_set_bytes',
      'gauge',
      '[STABLE] Current working set of the container in bytes',
      ofContainers(({ stats }) => stats.workingSetBytes),
    ),
    family(
      'container_start_time_seconds',
      'gauge',
      '[STABLE] Start time of the container since unix epoch in seconds',
      ofContainers(({ status }) => status.startedAt / 1000, false),
    ),
    family(
      'node_cpu_usage_seconds_total',
      'counter',
      '[STABLE] Cumulative cpu time consumed by the node in core-seconds',
      [{ value: machine.cpuNanos / 1e9, time: machine.time }],
    ),
    family('node_memory_working_set_bytes', 'gauge', '[STABLE] Current working set of the node in bytes', [
      { value: machine.workingSetBytes, time: machine.time },
    ]),
    family(
      'node_swap_usage_bytes',
      'gauge',
      '[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems',
      [{ value: info('SwapTotal') - info('SwapFree'), time: machine.time }],
    ),
    family(
      'pod_cpu_usage_seconds_total',
      'counter',
      '[STABLE] Cumulative cpu time consumed by the pod in core-seconds',
      ofPods(({ stats }) => stats.cpuNanos / 1e9),
    ),
    family(
      'pod_memory_working_set_bytes',
      'gauge',
      '[STABLE] Current working set of the pod in bytes',
      ofPods(({ stats }) => stats.workingSetBytes),
    ),
    family(
      'resource_scrape_error',
      'gauge',
      '[STABLE] 1 if there was an error while getting container metrics, 0 otherwise',
      [{ value: failed ? 1 : 0 }],
    ),
  ]);
}
