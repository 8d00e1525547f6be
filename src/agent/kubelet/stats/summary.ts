/**
 * The Summary API.
 * @see https://kubernetes.io/docs/reference/instrumentation/node-metrics/#summary-api-source
 */
import { join } from 'node:path';
import { timestamp } from '../../../api/machinery/clock.js';
import type { ContainerStats } from '../../../runtime/types.js';
import { type DiskUse, diskUse } from '../../node/eviction/measure.js';
import { sampleMachine } from '../../node/usage.js';
import { logDirectory } from '../../pods/container-config.js';
import { type Call, type EndpointDeps, json } from '../answers.js';
import {
  bootTime,
  defaultInterface,
  type FileSystemStats,
  fileSystem,
  interfacesAt,
  memoryInfo,
  processIds,
} from './files.js';
import { type ContainerLook, lookAtPods, type PodLook } from './look.js';
import { Rates } from './rates.js';
import { volumeStats } from './volumes.js';

const rates = new WeakMap<EndpointDeps['pods'], Rates>();
const NODE = '/';

export async function serveSummary(call: Call): Promise<void> {
  const onlyBasics = ['true', '1'].includes(call.query.get('only_cpu_and_memory') ?? '');
  json(call, await summary(call.deps, onlyBasics));
}

export async function summary(deps: EndpointDeps, onlyBasics: boolean): Promise<object> {
  let looks: PodLook[] = [];
  let machine = sampleMachine(Date.now());
  const own = rates.get(deps.pods) ?? new Rates();
  rates.set(deps.pods, own);
  const read = async () => {
    looks = (await lookAtPods(deps)).pods;
    machine = sampleMachine(Date.now());
    return new Map([
      [NODE, { time: machine.time, nanos: machine.cpuNanos }],
      ...looks.flatMap((look) => [
        [look.sandbox.id, { time: look.time, nanos: look.stats.cpuNanos }] as const,
        ...look.containers.map((c) => [c.status.id, { time: c.time, nanos: c.stats.cpuNanos }] as const),
      ]),
    ]);
  };
  const used = await own.of(read);
  if (looks.length === 0) await read();
  const disk = await fileSystem(deps.node.dataDir);
  const pods = await Promise.all(looks.map((look) => podStats(look, used, disk, deps, onlyBasics)));
  return { node: await nodeStats(machine, used, disk, deps, onlyBasics), pods };
}

type Machine = ReturnType<typeof sampleMachine>;
type Used = Map<string, number>;

async function nodeStats(
  { time: ms, cpuNanos, workingSetBytes }: Machine,
  used: Used,
  disk: FileSystemStats | undefined,
  { node }: EndpointDeps,
  onlyBasics: boolean,
): Promise<object> {
  const time = timestamp(ms);
  const info = memoryInfo();
  const total = info('MemTotal');
  const basics = {
    nodeName: node.name,
    startTime: timestamp(bootTime()),
    cpu: { time, ...rate(used.get(NODE)), usageCoreNanoSeconds: cpuNanos },
    memory: {
      ...{ time, availableBytes: total - workingSetBytes, usageBytes: total - info('MemFree') },
      ...{ workingSetBytes, rssBytes: info('AnonPages') },
    },
  };
  if (onlyBasics) return basics;
  const imageFs = { time, ...disk };
  const swap = {
    time,
    swapAvailableBytes: info('SwapFree'),
    swapUsageBytes: info('SwapTotal') - info('SwapFree'),
  };
  return {
    ...basics,
    network: network('self', time),
    fs: { time, ...disk },
    runtime: { imageFs, containerFs: imageFs },
    rlimit: { time, ...processIds() },
    swap,
  };
}

async function podStats(
  look: PodLook,
  used: Used,
  disk: FileSystemStats | undefined,
  deps: EndpointDeps,
  onlyBasics: boolean,
): Promise<object> {
  const { pod, sandbox, stats } = look;
  const { name, namespace, uid } = pod.metadata;
  const time = timestamp(look.time);
  const basics = {
    podRef: { name, namespace, uid },
    startTime: pod.status?.startTime ?? timestamp(sandbox.createdAt),
    cpu: cpu(time, used.get(sandbox.id), stats),
    memory: memory(time, stats, sandbox.limits?.memory),
  };
  if (onlyBasics)
    return { ...basics, containers: look.containers.map((container) => containerBasics(container, used)) };
  const measured = await Promise.all(look.containers.map((c) => containerStats(look, c, used, disk, deps)));
  const volumes = await volumeStats(look.worker, disk, time);
  const onDisk = [...measured.flatMap(({ use }) => use), ...volumes.flatMap(({ use }) => (use ? [use] : []))];
  return {
    ...basics,
    containers: measured.map(({ shown }) => shown),
    ...(pod.spec.hostNetwork ? {} : { network: network(sandbox.pid, time) }),
    ...(volumes.length > 0 ? { volume: volumes.map(({ shown }) => shown) } : {}),
    'ephemeral-storage': space(time, disk, sum(onDisk)),
    process_stats: { process_count: stats.pids },
    swap: { time, swapUsageBytes: 0 },
  };
}

const containerBasics = ({ status, stats, time: ms }: ContainerLook, used: Used) => ({
  name: status.name,
  startTime: timestamp(status.startedAt),
  cpu: cpu(timestamp(ms), used.get(status.id), stats),
  memory: memory(timestamp(ms), stats, undefined),
});

async function containerStats(
  { pod }: PodLook,
  look: ContainerLook,
  used: Used,
  disk: FileSystemStats | undefined,
  { runtime }: EndpointDeps,
) {
  const time = timestamp(look.time);
  const { id, name } = look.status;
  const layer = await diskUse(runtime.writableLayer(id));
  const log = await diskUse(join(logDirectory(pod), name));
  return {
    use: [layer, log],
    shown: {
      ...containerBasics(look, used),
      rootfs: space(time, disk, layer),
      logs: space(time, disk, log),
      swap: { time, swapUsageBytes: 0 },
    },
  };
}

const rate = (nanoCores: number | undefined) =>
  nanoCores === undefined ? {} : { usageNanoCores: nanoCores };

const cpu = (time: string, nanoCores: number | undefined, { cpuNanos }: ContainerStats) => ({
  ...{ time, ...rate(nanoCores), usageCoreNanoSeconds: cpuNanos },
});

const memory = (time: string, stats: ContainerStats, limit: number | undefined) => ({
  time,
  ...(limit === undefined ? {} : { availableBytes: Math.max(0, limit - stats.workingSetBytes) }),
  ...{ usageBytes: stats.memoryBytes, workingSetBytes: stats.workingSetBytes, rssBytes: stats.rssBytes },
  ...{ pageFaults: stats.pageFaults, majorPageFaults: stats.majorPageFaults },
});

function network(pid: number | 'self', time: string) {
  const shown = interfacesAt(pid).map(({ name, rxBytes, rxErrors, txBytes, txErrors }) => ({
    ...{ name, rxBytes, rxErrors, txBytes, txErrors },
  }));
  const main = defaultInterface(interfacesAt(pid), pid);
  return { time, ...(shown.find(({ name }) => name === main) ?? { name: '' }), interfaces: shown };
}

/** What is used of a file system that is shared. */
function space(time: string, disk: FileSystemStats | undefined, use: DiskUse) {
  if (!disk) return { time, usedBytes: use.bytes, inodesUsed: use.inodes };
  const { availableBytes, capacityBytes, inodesFree, inodes } = disk;
  return {
    time,
    availableBytes,
    capacityBytes,
    usedBytes: use.bytes,
    inodesFree,
    inodes,
    inodesUsed: use.inodes,
  };
}

const sum = (uses: DiskUse[]): DiskUse => ({
  bytes: uses.reduce((total, { bytes }) => total + bytes, 0),
  inodes: uses.reduce((total, { inodes }) => total + inodes, 0),
});
