/** `/metrics/cadvisor`: the series of cAdvisor that dashboards and alerts use most. */
import { cpus, totalmem } from 'node:os';
import type { Limits } from '../../../runtime/types.js';
import { diskUse } from '../../node/eviction/measure.js';
import { containerLimits } from '../../pods/resources.js';
import type { Call, EndpointDeps } from '../answers.js';
import { fileSystem, interfacesAt } from '../stats/files.js';
import { type ContainerLook, lookAtPods, type PodLook } from '../stats/look.js';
import { type Family, type Labels, writeMetrics } from './exposition.js';

/** Samples by family, in the order in which families were first named. */
class Families {
  readonly #families = new Map<string, Family>();

  add(name: string, type: Family['type'], help: string, labels: Labels, value: number, time?: number): void {
    const family = this.#families.get(name) ?? { name, type, help, samples: [] };
    this.#families.set(name, family);
    family.samples.push({ labels, value, ...(time === undefined ? {} : { time }) });
  }

  list(): Family[] {
    return [...this.#families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

const CPU_PERIOD = 100_000;

export async function cadvisorMetrics(call: Call): Promise<void> {
  const { deps } = call;
  const families = new Families();
  const { pods, failed } = await lookAtPods(deps);
  for (const look of pods) {
    const labels = podLabels(look);
    group(families, labels, look, look.sandbox.limits ?? {}, look.sandbox.createdAt);
    networks(families, labels, look);
    for (const container of look.containers) await ofContainer(families, look, container, deps);
  }
  families.add('machine_cpu_cores', 'gauge', 'Number of logical CPU cores.', {}, cpus().length);
  families.add('machine_memory_bytes', 'gauge', 'Amount of memory installed on the machine.', {}, totalmem());
  families.add(
    'container_scrape_error',
    'gauge',
    '1 if there was an error while getting container metrics, 0 otherwise',
    {},
    failed ? 1 : 0,
  );
  writeMetrics(call, families.list());
}

function podLabels({ pod }: PodLook): Labels {
  const { namespace = '', name = '', uid } = pod.metadata;
  return { container: '', id: `/kubepods/pod${uid}`, image: '', name: '', namespace, pod: name };
}

async function ofContainer(
  families: Families,
  pod: PodLook,
  look: ContainerLook,
  deps: EndpointDeps,
): Promise<void> {
  const { status, image, time } = look;
  const above = podLabels(pod);
  const labels = {
    ...above,
    container: status.name,
    id: `${above['id']}/${status.id}`,
    image,
    name: status.id,
  };
  const { initContainers = [], containers, resources } = pod.pod.spec;
  const spec = [...initContainers, ...containers].find(({ name }) => name === status.name);
  group(families, labels, look, spec ? containerLimits(spec, resources) : {}, status.startedAt);
  const use = await diskUse(deps.runtime.writableLayer(status.id));
  const disk = await fileSystem(deps.node.dataDir);
  const gauge = (name: string, help: string, value: number) =>
    families.add(name, 'gauge', help, { ...labels, device: '' }, value, time);
  gauge(
    'container_fs_usage_bytes',
    'Number of bytes that are consumed by the container on this filesystem.',
    use.bytes,
  );
  gauge('container_fs_inodes_total', 'Number of Inodes', disk?.inodes ?? 0);
  gauge('container_fs_inodes_free', 'Number of available Inodes', disk?.inodesFree ?? 0);
  gauge(
    'container_fs_limit_bytes',
    'Number of bytes that can be consumed by the container on this filesystem.',
    disk?.capacityBytes ?? 0,
  );
}

/** What every control group has, that of a pod and that of a container. */
function group(
  families: Families,
  labels: Labels,
  { stats, time }: Pick<PodLook, 'stats' | 'time'>,
  limits: Limits,
  startedAt: number,
): void {
  const counter = (name: string, help: string, value: number, more: Labels = {}) =>
    families.add(name, 'counter', help, { ...labels, ...more }, value, time);
  const gauge = (name: string, help: string, value: number) =>
    families.add(name, 'gauge', help, labels, value, time);
  const seconds = (nanos: number) => nanos / 1e9;
  counter(
    'container_cpu_usage_seconds_total',
    'Cumulative cpu time consumed in seconds.',
    seconds(stats.cpuNanos),
    { cpu: 'total' },
  );
  counter(
    'container_cpu_user_seconds_total',
    'Cumulative user cpu time consumed in seconds.',
    seconds(stats.userNanos),
  );
  counter(
    'container_cpu_system_seconds_total',
    'Cumulative system cpu time consumed in seconds.',
    seconds(stats.systemNanos),
  );
  if (limits.cpuQuota !== undefined && limits.cpuQuota > 0) {
    counter(
      'container_cpu_cfs_periods_total',
      'Number of elapsed enforcement period intervals.',
      stats.periods,
    );
    counter(
      'container_cpu_cfs_throttled_periods_total',
      'Number of throttled period intervals.',
      stats.throttledPeriods,
    );
    counter(
      'container_cpu_cfs_throttled_seconds_total',
      'Total time duration the container has been throttled.',
      seconds(stats.throttledNanos),
    );
    gauge('container_spec_cpu_period', 'CPU period of the container.', CPU_PERIOD);
    gauge('container_spec_cpu_quota', 'CPU quota of the container.', limits.cpuQuota);
  }
  gauge('container_spec_cpu_shares', 'CPU share of the container.', limits.cpuShares ?? 0);
  gauge(
    'container_spec_memory_limit_bytes',
    'Memory limit for the container.',
    Math.max(0, limits.memory ?? 0),
  );
  gauge(
    'container_memory_usage_bytes',
    'Current memory usage in bytes, including all memory regardless of when it was accessed',
    stats.memoryBytes,
  );
  gauge('container_memory_working_set_bytes', 'Current working set in bytes.', stats.workingSetBytes);
  gauge('container_memory_rss', 'Size of RSS in bytes.', stats.rssBytes);
  gauge('container_memory_cache', 'Number of bytes of page cache memory.', stats.cacheBytes);
  gauge('container_memory_mapped_file', 'Size of memory mapped files in bytes.', stats.mappedBytes);
  const faults = (type: string, value: number) =>
    counter('container_memory_failures_total', 'Cumulative count of memory allocation failures.', value, {
      failure_type: type,
      scope: 'hierarchy',
    });
  faults('pgfault', stats.pageFaults);
  faults('pgmajfault', stats.majorPageFaults);
  gauge('container_processes', 'Number of processes running inside the container.', stats.pids);
  gauge(
    'container_start_time_seconds',
    'Start time of the container since unix epoch in seconds.',
    startedAt / 1000,
  );
  gauge('container_last_seen', 'Last time a container was seen by the exporter', Math.floor(time / 1000));
}

function networks(families: Families, labels: Labels, { pod, sandbox, time }: PodLook): void {
  if (pod.spec.hostNetwork) return;
  for (const one of interfacesAt(sandbox.pid)) {
    const add = (name: string, what: string, value: number) =>
      families.add(
        `container_network_${name}_total`,
        'counter',
        `Cumulative count of ${what}`,
        { ...labels, interface: one.name },
        value,
        time,
      );
    add('receive_bytes', 'bytes received', one.rxBytes);
    add('receive_errors', 'errors encountered while receiving', one.rxErrors);
    add('receive_packets', 'packets received', one.rxPackets);
    add('receive_packets_dropped', 'packets dropped while receiving', one.rxDropped);
    add('transmit_bytes', 'bytes transmitted', one.txBytes);
    add('transmit_errors', 'errors encountered while transmitting', one.txErrors);
    add('transmit_packets', 'packets transmitted', one.txPackets);
    add('transmit_packets_dropped', 'packets dropped while transmitting', one.txDropped);
  }
}
