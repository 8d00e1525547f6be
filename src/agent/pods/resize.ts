/** Resources that change while a pod runs: what it has been given, and how that is told (KEP-1287). Pure. */
import type { Container, Pod, ResourceRequirements } from '#types';
import { quantityMilli, quantityValue } from '../../api/machinery/quantity.js';
import type { Limits } from '../../runtime/types.js';
import { isSidecar } from './next-actions.js';
import { podRequest } from './resources.js';

/** What a pod has been given: as a whole, if it asks so, and each container that can be resized. */
export interface Allocation {
  pod?: ResourceRequirements;
  containers: Record<string, ResourceRequirements>;
}

const RESIZED = ['cpu', 'memory'] as const;
type Lists = 'containers' | 'initContainers';

/** Init containers that end are not resized. */
const resizable = (pod: Pod, list: Lists): Container[] =>
  (pod.spec[list] ?? []).filter((c) => list === 'containers' || isSidecar(c));

export function allocationOf(pod: Pod): Allocation {
  const all = [...resizable(pod, 'initContainers'), ...resizable(pod, 'containers')];
  const containers = Object.fromEntries(all.map(({ name, resources }) => [name, resources ?? {}]));
  return { ...(pod.spec.resources ? { pod: pod.spec.resources } : {}), containers };
}

export const sameResources = (
  a: ResourceRequirements | undefined,
  b: ResourceRequirements | undefined,
): boolean =>
  (['requests', 'limits'] as const).every((kind) =>
    [...new Set([...Object.keys(a?.[kind] ?? {}), ...Object.keys(b?.[kind] ?? {})])].every(
      (name) => quantityMilli(a?.[kind]?.[name]) === quantityMilli(b?.[kind]?.[name]),
    ),
  );

/** The pod with what it has been given in the place of what it asks for; the same object if that is no different. */
export function withAllocation(pod: Pod, allocation: Allocation): Pod {
  const { pod: whole, containers: parts } = allocation;
  const differs = (c: Container) => parts[c.name] && !sameResources(c.resources, parts[c.name]);
  const given = (c: Container): Container => (differs(c) ? { ...c, resources: parts[c.name]! } : c);
  const { containers, initContainers, resources, ...rest } = pod.spec;
  const isSameWhole = sameResources(resources, whole);
  if (isSameWhole && ![...containers, ...(initContainers ?? [])].some(differs)) return pod;
  const ofPod = isSameWhole ? resources : whole;
  return {
    ...pod,
    spec: {
      ...rest,
      ...(ofPod ? { resources: ofPod } : {}),
      containers: containers.map(given),
      ...(initContainers ? { initContainers: initContainers.map(given) } : {}),
    },
  };
}

/** With the limits that a container has of its pod where it has none of its own (KEP-2837). */
export const withPodLimits = (
  own: ResourceRequirements | undefined,
  ofPod: ResourceRequirements | undefined,
): ResourceRequirements => {
  const { cpu, memory } = ofPod?.limits ?? {};
  return { ...own, limits: { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}), ...own?.limits } };
};

/** Whether a container has to start again for its new resources, by its `resizePolicy`. */
export function needsRestart(
  { resizePolicy }: Container,
  wanted: ResourceRequirements,
  actual: ResourceRequirements | undefined,
): boolean {
  const changed = RESIZED.filter((name) =>
    (['requests', 'limits'] as const).some(
      (kind) => quantityMilli(wanted[kind]?.[name]) !== quantityMilli(actual?.[kind]?.[name]),
    ),
  );
  return changed.some((name) =>
    resizePolicy?.some((p) => p.resourceName === name && p.restartPolicy === 'RestartContainer'),
  );
}

/** Whether it would take more of the node than it has. */
export const increases = (desired: Pod, allocated: Pod): boolean =>
  podRequest(desired, 'cpu', quantityMilli) > podRequest(allocated, 'cpu', quantityMilli) ||
  podRequest(desired, 'memory', quantityValue) > podRequest(allocated, 'memory', quantityValue);

/** The message of an Event: the resources as JSON, as upstream writes it. */
export function resizeMessage(what: string, pod: Pod, error = ''): string {
  const summary = (list: Lists) =>
    resizable(pod, list).map(({ name, resources }) => ({ name, resources: sorted(resources) }));
  const init = summary('initContainers');
  const details = {
    ...(pod.spec.resources ? { resources: sorted(pod.spec.resources) } : {}),
    ...(init.length > 0 ? { initContainers: init } : {}),
    containers: summary('containers'),
    generation: pod.metadata.generation ?? 0,
    ...(error ? { error } : {}),
  };
  return `Pod resize ${what}: ${JSON.stringify(details)}`;
}

function sorted(resources: ResourceRequirements = {}): object {
  const list = (given: Record<string, string> | undefined) =>
    given && Object.fromEntries(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1)));
  const { limits, requests } = resources;
  return { ...(limits ? { limits: list(limits) } : {}), ...(requests ? { requests: list(requests) } : {}) };
}

/** Of each limit the wider one: what a pod's group must have while its containers' change. */
export function widest(a: Limits, b: Limits): Limits {
  const more = (x: number | undefined, y: number | undefined) =>
    x === undefined || y === undefined ? undefined : Math.max(x, y);
  return {
    ...b,
    cpuShares: Math.max(a.cpuShares ?? 0, b.cpuShares ?? 0),
    cpuQuota: more(a.cpuQuota, b.cpuQuota),
    memory: more(a.memory, b.memory),
  };
}
