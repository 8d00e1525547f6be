/** What a pod asks for in all: sums over its containers (component-helpers `resource`). */
import type { Container, ContainerStatus, Pod, PodSpec, ResourceList, ResourceRequirements } from '#types';
import { quantityMilli, quantityValue } from '../../../machinery/quantity.js';
import { isRestartableInit } from './containers.js';

/** Amounts by resource name: `cpu` in millicores, all else in whole units (bytes, counts), rounded up. */
export type ResourceAmounts = Record<string, number>;

export interface AmountOptions {
  /** Leave `spec.overhead` out. */
  excludeOverhead?: boolean;
  /** Count what the node has allocated or applies now, where that is more (KEP-1287). For the scheduler. */
  useStatus?: boolean;
}

/** One quantity in the units of `ResourceAmounts`. */
export const amount = (name: string, quantity: string): number =>
  name === 'cpu' ? quantityMilli(quantity) : quantityValue(quantity);

export function amounts(list: ResourceList | undefined): ResourceAmounts {
  const result: ResourceAmounts = {};
  for (const name in list) result[name] = amount(name, list[name]!);
  return result;
}

function add(total: ResourceAmounts, more: ResourceAmounts): void {
  for (const name in more) total[name] = (total[name] ?? 0) + more[name]!;
}

function raise(total: ResourceAmounts, floor: ResourceAmounts): void {
  for (const name in floor) total[name] = Math.max(total[name] ?? 0, floor[name]!);
}

/** How values of resources are added and compared: numbers here, quantities' texts for defaults. */
export interface Arithmetic<V> {
  add(a: V, b: V): V;
  max(a: V, b: V): V;
}

const numbers: Arithmetic<number> = { add: (a, b) => a + b, max: Math.max };

/**
 * Regular containers and sidecars run together; each init container runs with the sidecars before it alone, so the
 * pod needs the larger of the two.
 */
export function aggregateWith<V>(
  spec: PodSpec,
  of: (container: Container) => Record<string, V>,
  { add: sum, max }: Arithmetic<V>,
): Record<string, V> {
  type Values = Record<string, V>;
  const into = (total: Values, more: Values, join: (a: V, b: V) => V): void => {
    for (const name in more) total[name] = name in total ? join(total[name]!, more[name]!) : more[name]!;
  };
  const total: Values = {};
  for (const container of spec.containers ?? []) into(total, of(container), sum);
  const sidecars: Values = {};
  const initial: Values = {};
  for (const container of spec.initContainers ?? []) {
    const own = of(container);
    if (isRestartableInit(container)) {
      into(total, own, sum);
      into(sidecars, own, sum);
      into(initial, sidecars, max);
    } else {
      const together = { ...own };
      into(together, sidecars, sum);
      into(initial, together, max);
    }
  }
  into(total, initial, max);
  return total;
}

/** `aggregateWith` for amounts. */
export const aggregate = (spec: PodSpec, of: (container: Container) => ResourceAmounts): ResourceAmounts =>
  aggregateWith(spec, of, numbers);

/** Resources that `spec.resources` may set for the pod as a whole (KEP-2837). */
export const isPodLevelResource = (name: string): boolean =>
  name === 'cpu' || name === 'memory' || name.startsWith('hugepages-');

function replacePodLevel(total: ResourceAmounts, list: ResourceList | undefined): void {
  for (const name in list) if (isPodLevelResource(name)) total[name] = amount(name, list[name]!);
}

/** The sum of a pod's requests, as the scheduler counts it. */
export function podRequests(pod: Pod, options: AmountOptions = {}): ResourceAmounts {
  const status = options.useStatus ? statusOf(pod) : undefined;
  const total = aggregate(pod.spec, (container) => {
    const own = amounts(container.resources?.requests);
    const running = status?.(container.name);
    return running ? effective(pod, own, running) : own;
  });
  const ofPod = pod.spec.resources?.requests;
  replacePodLevel(total, ofPod);
  if (options.useStatus && pod.status?.resources) {
    const now = effective(pod, amounts(ofPod), pod.status);
    for (const name in ofPod) if (isPodLevelResource(name)) total[name] = now[name] ?? 0;
  }
  if (!options.excludeOverhead) add(total, amounts(pod.spec.overhead));
  return total;
}

/** The most of what is asked for, what is allocated and what is applied; what can't be given does not count. */
function effective(
  pod: Pod,
  asked: ResourceAmounts,
  { resources, allocatedResources }: Pick<ContainerStatus, 'resources' | 'allocatedResources'>,
): ResourceAmounts {
  const result = isResizeInfeasible(pod) ? {} : asked;
  raise(result, amounts(allocatedResources));
  raise(result, amounts(resources?.requests));
  return result;
}

/** The sum of a pod's limits; a container without a limit counts as none. */
export function podLimits(pod: Pod, options: AmountOptions = {}): ResourceAmounts {
  const total = aggregate(pod.spec, (container) => amounts(container.resources?.limits));
  replacePodLevel(total, pod.spec.resources?.limits);
  if (options.excludeOverhead) return total;
  const overhead = amounts(pod.spec.overhead);
  for (const name in overhead) if (total[name]) total[name] += overhead[name]!;
  return total;
}

function statusOf(pod: Pod): (name: string) => ContainerStatus | undefined {
  const byName = new Map<string, ContainerStatus>();
  for (const status of pod.status?.containerStatuses ?? []) byName.set(status.name, status);
  for (const status of pod.status?.initContainerStatuses ?? []) byName.set(status.name, status);
  return (name) => byName.get(name);
}

const isResizeInfeasible = (pod: Pod): boolean =>
  (pod.status?.conditions ?? []).some(
    (c) => c.type === 'PodResizePending' && c.status === 'True' && c.reason === 'Infeasible',
  );

/** Whether any quantity of the two lists is set. */
export const hasResources = (resources: ResourceRequirements | undefined): boolean =>
  Object.keys(resources?.requests ?? {}).length + Object.keys(resources?.limits ?? {}).length > 0;
