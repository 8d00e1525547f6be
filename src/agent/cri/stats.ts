/** What sandboxes and containers use. */
import type { Cri } from '../../rpc/cri.js';
import { Cri as V1 } from '../../rpc/cri.js';
import type { ContainerStats, Limits } from '../../runtime/types.js';
import { defaultInterface, interfacesAt } from '../kubelet/stats/files.js';
import { diskUse } from '../node/eviction/measure.js';
import type { CriDeps } from './deps.js';
import { nanos } from './errors.js';
import {
  type ContainerView,
  containerViews,
  findContainer,
  findSandbox,
  hasLabels,
  type SandboxView,
  sandboxViews,
} from './view.js';

const value = (number: number) => ({ value: number });

const cpu = (time: number, { cpuNanos }: ContainerStats) => ({
  timestamp: nanos(time),
  usageCoreNanoSeconds: value(cpuNanos),
});

const memory = (time: number, stats: ContainerStats, limits: Limits | undefined) => ({
  timestamp: nanos(time),
  workingSetBytes: value(stats.workingSetBytes),
  availableBytes: value(limits?.memory ? Math.max(0, limits.memory - stats.workingSetBytes) : 0),
  usageBytes: value(stats.memoryBytes),
  rssBytes: value(stats.rssBytes),
  pageFaults: value(stats.pageFaults),
  majorPageFaults: value(stats.majorPageFaults),
});

/** Undefined when it has ended meanwhile. */
async function ofContainer(
  { runtime }: CriDeps,
  view: ContainerView,
): Promise<Cri.ContainerStats.$Properties | undefined> {
  const { id, name, attempt, labels, annotations, config } = view;
  const stats = await runtime.stats(id).catch(() => undefined);
  if (!stats) return undefined;
  const time = Date.now();
  const layer = runtime.writableLayer(id);
  const use = await diskUse(layer);
  return {
    attributes: { id, metadata: { name, attempt }, labels, annotations },
    cpu: cpu(time, stats),
    memory: memory(time, stats, config?.limits),
    writableLayer: {
      ...{ timestamp: nanos(time), fsId: { mountpoint: layer } },
      ...{ usedBytes: value(use.bytes), inodesUsed: value(use.inodes) },
    },
  };
}

const isRunning = ({ state }: ContainerView) => state === V1.ContainerState.CONTAINER_RUNNING;

export async function containerStats(
  deps: CriDeps,
  id: string,
): Promise<Cri.ContainerStatsResponse.$Properties> {
  const view = findContainer(deps, id);
  return { stats: isRunning(view) ? await ofContainer(deps, view) : undefined };
}

export async function listContainerStats(
  deps: CriDeps,
  filter: Cri.ContainerStatsFilter.$Properties | null | undefined,
): Promise<Cri.ListContainerStatsResponse.$Properties> {
  const views = containerViews(deps).filter(
    (view) =>
      isRunning(view) &&
      (!filter?.id || view.id.startsWith(filter.id)) &&
      (!filter?.podSandboxId || view.sandboxId.startsWith(filter.podSandboxId)) &&
      hasLabels(view.labels, filter?.labelSelector),
  );
  const stats = await Promise.all(views.map((view) => ofContainer(deps, view)));
  return { stats: stats.filter((one) => one !== undefined) };
}

async function ofSandbox(
  deps: CriDeps,
  view: SandboxView,
): Promise<Cri.PodSandboxStats.$Properties | undefined> {
  const { id, metadata, labels, annotations, pid } = view;
  const stats = await deps.runtime.stats(id).catch(() => undefined);
  if (!stats) return undefined;
  const time = Date.now();
  const { stats: containers } = await listContainerStats(deps, { podSandboxId: id });
  const interfaces = interfacesAt(pid).map(({ name, rxBytes, rxErrors, txBytes, txErrors }) => ({
    ...{ name, rxBytes: value(rxBytes), rxErrors: value(rxErrors) },
    ...{ txBytes: value(txBytes), txErrors: value(txErrors) },
  }));
  const main = defaultInterface(interfacesAt(pid), pid);
  const network = {
    timestamp: nanos(time),
    defaultInterface: interfaces.find(({ name }) => name === main) ?? null,
    interfaces: interfaces.filter(({ name }) => name !== main),
  };
  return {
    attributes: { id, metadata, labels, annotations },
    linux: {
      cpu: cpu(time, stats),
      memory: memory(time, stats, deps.runtime.sandboxConfig(id)?.limits),
      ...(deps.runtime.sandboxConfig(id)?.network === 'host' ? {} : { network }),
      process: { timestamp: nanos(time), processCount: value(stats.pids) },
      containers: containers ?? [],
    },
  };
}

export async function podSandboxStats(
  deps: CriDeps,
  id: string,
): Promise<Cri.PodSandboxStatsResponse.$Properties> {
  return { stats: await ofSandbox(deps, findSandbox(deps, id)) };
}

export async function listPodSandboxStats(
  deps: CriDeps,
  filter: Cri.PodSandboxStatsFilter.$Properties | null | undefined,
): Promise<Cri.ListPodSandboxStatsResponse.$Properties> {
  const views = sandboxViews(deps).filter(
    (view) =>
      view.ready &&
      (!filter?.id || view.id.startsWith(filter.id)) &&
      hasLabels(view.labels, filter?.labelSelector),
  );
  const stats = await Promise.all(views.map((view) => ofSandbox(deps, view)));
  return { stats: stats.filter((one) => one !== undefined) };
}
