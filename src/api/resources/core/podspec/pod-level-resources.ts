/** Defaults of `spec.resources` of a pod from those of its containers (KEP-2837). */
import type { Container, PodSpec, ResourceList } from '#types';
import { addQuantities, compareQuantities } from '../../../machinery/quantity.js';
import { type Arithmetic, aggregateWith, isPodLevelResource } from './amounts.js';

export const quantities: Arithmetic<string> = {
  add: (a, b) => addQuantities(a, b),
  max: (a, b) => (compareQuantities(a, b) >= 0 ? a : b),
};

const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
const isEmpty = (list: ResourceList | undefined): boolean => Object.keys(list ?? {}).length === 0;

/**
 * Fills what a partly given `spec.resources` leaves out; does nothing when it is absent. Upstream also runs its
 * defaults on what it reads from the store, so that what the first run adds counts for the second: here limits come
 * before the requests that follow from them, and one run is enough.
 */
export function defaultPodLevelResources(spec: PodSpec): void {
  const resources = spec.resources;
  if (!resources || (isEmpty(resources.requests) && isEmpty(resources.limits))) return;
  const requests = { ...resources.requests };
  const limits = { ...resources.limits };
  const containerLimits = aggregateWith(spec, (c) => c.resources?.limits ?? {}, quantities);
  for (const name in containerLimits)
    if (isHugePages(name) && requests[name] === undefined) limits[name] ??= containerLimits[name]!;
  if (isEmpty(limits))
    for (const name of ['cpu', 'memory'])
      if (containerLimits[name] !== undefined && allLimit(spec, name)) limits[name] = containerLimits[name];
  if (!isEmpty(limits)) {
    const containerRequests = aggregateWith(spec, (c) => c.resources?.requests ?? {}, quantities);
    for (const name in containerRequests)
      if (isPodLevelResource(name) && !isHugePages(name)) requests[name] ??= containerRequests[name]!;
    for (const name in limits) if (isPodLevelResource(name)) requests[name] ??= limits[name]!;
  }
  if (!isEmpty(requests)) resources.requests = requests;
  if (!isEmpty(limits)) resources.limits = limits;
}

/** Whether every container that runs with the others has a limit of this resource. */
const allLimit = (spec: PodSpec, name: string): boolean =>
  [...(spec.containers ?? []), ...(spec.initContainers ?? [])].every(
    (c: Container) => c.resources?.limits?.[name] !== undefined,
  );
