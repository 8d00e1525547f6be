/** QoS classes and what requests and limits mean to cgroups and the OOM killer (kubelet `cm/helpers_linux`, `qos/policy`). */
import type { Container, Pod, ResourceRequirements } from '#types';
import { quantityMilli, quantityValue } from '../../api/machinery/quantity.js';
import type { Limits } from '../../runtime/types.js';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const MIN_QUOTA = 1000;
/** From this priority on a pod is critical to the system. */
const CRITICAL_PRIORITY = 2_000_000_000;

type Kind = 'requests' | 'limits';

const amount = (resources: ResourceRequirements | undefined, kind: Kind, name: string): string | undefined =>
  resources?.[kind]?.[name];

/** Requests default to limits. */
const requested = (resources: ResourceRequirements | undefined, name: string): string | undefined =>
  amount(resources, 'requests', name) ?? amount(resources, 'limits', name);

const allContainers = (pod: Pod): Container[] => [...(pod.spec.initContainers ?? []), ...pod.spec.containers];

export function qosClass(pod: Pod): QosClass {
  if (pod.status?.qosClass) return pod.status.qosClass as QosClass;
  const parts = pod.spec.resources ? [pod.spec.resources] : allContainers(pod).map((c) => c.resources);
  const names = ['cpu', 'memory'];
  const isSet = (r: ResourceRequirements | undefined, kind: Kind, name: string) =>
    quantityMilli(amount(r, kind, name)) > 0;
  const guaranteed = parts.every((r) =>
    names.every(
      (name) =>
        isSet(r, 'limits', name) &&
        quantityMilli(requested(r, name)) === quantityMilli(amount(r, 'limits', name)),
    ),
  );
  if (guaranteed) return 'Guaranteed';
  const any = parts.some((r) => names.some((name) => isSet(r, 'limits', name) || isSet(r, 'requests', name)));
  return any ? 'Burstable' : 'BestEffort';
}

/** cpu.shares for thousandths of a CPU. */
export function cpuShares(milli: number): number {
  return Math.max(MIN_SHARES, Math.min(MAX_SHARES, Math.floor((milli * 1024) / 1000)));
}

/** Microseconds per 100 ms; undefined: no limit. */
export function cpuQuota(milli: number): number | undefined {
  return milli === 0 ? undefined : Math.max(MIN_QUOTA, milli * 100);
}

function limits(cpuRequest: number, cpuLimit: number, memoryLimit: number): Limits {
  const quota = cpuQuota(cpuLimit);
  return {
    cpuShares: cpuShares(cpuRequest),
    ...(quota === undefined ? {} : { cpuQuota: quota }),
    ...(memoryLimit > 0 ? { memory: memoryLimit } : {}),
  };
}

/** Limits that the container has not are those of its pod (KEP-2837). */
export function containerLimits({ resources }: Container, ofPod?: ResourceRequirements): Limits {
  const limit = (name: string) => amount(resources, 'limits', name) ?? amount(ofPod, 'limits', name);
  return {
    ...limits(
      quantityMilli(requested(resources, 'cpu')),
      quantityMilli(limit('cpu')),
      quantityValue(limit('memory')),
    ),
    hugePages: hugePageLimits({ ...ofPod?.limits, ...resources?.limits }),
  };
}

/** Of those that have CPUs alone. */
export const withoutQuota = ({ cpuQuota: _, ...limits }: Limits): Limits => limits;

const HUGE_PAGES = 'hugepages-';
const isHugePages = (name: string): boolean => name.startsWith(HUGE_PAGES);

/** Bytes by page size. */
const hugePageLimits = (amounts: Record<string, string>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(amounts)
      .filter(([name]) => isHugePages(name))
      .map(([name, amount]) => [pageSize(name), quantityValue(amount)]),
  );

/** `hugepages-2Mi` as the kernel names it: `2MB`. */
function pageSize(resource: string): string {
  const units = ['B', 'KB', 'MB', 'GB'];
  let [size, unit] = [quantityValue(resource.slice(HUGE_PAGES.length)), 0];
  for (; size >= 1024 && unit < 3; unit++) size /= 1024;
  return `${size}${units[unit]}`;
}

/** What the containers need together: all that run side by side, or the greediest step of initialisation. */
function podSum(pod: Pod, of: (container: Container) => number): number {
  const sidecars = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  const sum = (list: Container[]) => list.reduce((total, c) => total + of(c), 0);
  const init = (pod.spec.initContainers ?? []).map((container, i, all) => {
    const before = all.slice(0, i).filter((c) => c.restartPolicy === 'Always');
    return sum(before) + of(container);
  });
  return Math.max(sum(sidecars) + sum(pod.spec.containers), ...init);
}

/** What the pod asks of a node: of its own, or of its containers together, and the overhead (KEP-2837). */
export function podRequest(pod: Pod, name: string, value: (quantity: string | undefined) => number): number {
  const own = value(requested(pod.spec.resources, name));
  return (own || podSum(pod, (c) => value(requested(c.resources, name)))) + value(pod.spec.overhead?.[name]);
}

/** The pod's own cgroup: limited only where all its containers are. */
export function podLimits(pod: Pod): Limits {
  const overhead = (name: string) => pod.spec.overhead?.[name];
  const own = pod.spec.resources;
  const total = (kind: 'request' | 'limit', name: string, value: (q: string | undefined) => number) => {
    const of = (r: ResourceRequirements | undefined) =>
      value(kind === 'limit' ? amount(r, 'limits', name) : requested(r, name));
    return (of(own) || podSum(pod, (c) => of(c.resources))) + value(overhead(name));
  };
  const limited = (name: string) =>
    amount(own, 'limits', name) !== undefined ||
    allContainers(pod).every((c) => quantityMilli(amount(c.resources, 'limits', name)) > 0);
  const names = [own, ...allContainers(pod).map((c) => c.resources)].flatMap((r) =>
    Object.keys(r?.limits ?? {}),
  );
  return {
    ...limits(
      total('request', 'cpu', quantityMilli),
      limited('cpu') ? total('limit', 'cpu', quantityMilli) : 0,
      limited('memory') ? total('limit', 'memory', quantityValue) : 0,
    ),
    hugePages: Object.fromEntries(
      names.filter(isHugePages).map((name) => [pageSize(name), total('limit', name, quantityValue)]),
    ),
  };
}

/** Below the node's cgroup root. */
export function podCgroup(pod: Pod): string {
  const qos = qosClass(pod).toLowerCase();
  return qos === 'guaranteed' ? `pod${pod.metadata.uid}` : `${qos}/pod${pod.metadata.uid}`;
}

/** Pods that the node does not turn out: static ones, and those of the system's priorities. */
export const isCritical = (pod: Pod): boolean =>
  (pod.spec.priority ?? 0) >= CRITICAL_PRIORITY ||
  (pod.metadata.annotations?.['kubernetes.io/config.source'] ?? 'api') !== 'api' ||
  pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined;

/** How early the kernel kills the container's processes when memory runs out: −997 (late) … 1000. */
export function oomScoreAdj(pod: Pod, container: Container, memoryCapacity: number): number {
  if ((pod.spec.priority ?? 0) >= CRITICAL_PRIORITY) return -997;
  const qos = qosClass(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const request = quantityValue(requested(container.resources, 'memory'));
  const score = 1000 - Math.floor((1000 * request) / memoryCapacity);
  return Math.max(3, Math.min(999, score));
}
