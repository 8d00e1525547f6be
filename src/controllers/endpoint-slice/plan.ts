/** What to write so that slices hold the desired endpoints, with as few writes as upstream's reconciler. Pure. */
import type { Endpoint, EndpointSlice } from '#types';
import { sameJson } from '../../api/machinery/validation.js';
import { endpointKey, type Group, groupKey } from './desired.js';

export interface Plan {
  create: Group[];
  update: EndpointSlice[];
  delete: EndpointSlice[];
}

/** `isCurrent`: whether all but the endpoints (labels, owner) is as it should be. */
export function planSlices(
  desired: Map<string, Group>,
  existing: EndpointSlice[],
  max: number,
  isCurrent: (slice: EndpointSlice) => boolean,
): Plan {
  const plan: Plan = { create: [], update: [], delete: [] };
  const byGroup = new Map<string, EndpointSlice[]>();
  for (const slice of existing) {
    const key = groupKey(slice);
    if (desired.has(key)) byGroup.set(key, [...(byGroup.get(key) ?? []), slice]);
    else plan.delete.push(slice);
  }
  for (const [key, group] of desired) planGroup(group, byGroup.get(key) ?? [], max, isCurrent, plan);
  reuse(plan);
  return plan;
}

function planGroup(
  group: Group,
  existing: EndpointSlice[],
  max: number,
  isCurrent: (slice: EndpointSlice) => boolean,
  plan: Plan,
): void {
  const missing = new Map(group.endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  const changed: EndpointSlice[] = [];
  const unchanged: EndpointSlice[] = [];
  const empty: EndpointSlice[] = [];
  for (const slice of existing) {
    const kept = keepEndpoints(slice.endpoints ?? [], missing);
    const isSame = sameJson(kept, slice.endpoints ?? []);
    // An empty slice stays when there is nothing to put anywhere: it stands for the service.
    if (kept.length === 0 && group.endpoints.length > 0) empty.push({ ...slice, endpoints: [] });
    else if (isSame && isCurrent(slice)) unchanged.push(slice);
    else changed.push({ ...slice, endpoints: kept });
  }
  const left = [...missing.values()];
  for (const slice of changed) fill(slice, left, max);
  // One that is not written anyway is taken when that makes a new slice needless.
  while (left.length > 0) {
    const roomy = unchanged
      .filter(
        ({ endpoints = [] }) =>
          endpoints.length + (left.length % max || max) <= max && endpoints.length < max,
      )
      .sort((a, b) => (b.endpoints?.length ?? 0) - (a.endpoints?.length ?? 0))[0];
    const spare = empty.shift();
    if (spare) {
      fill(spare, left, max);
      changed.push(spare);
    } else if (roomy && left.length <= max) {
      unchanged.splice(unchanged.indexOf(roomy), 1);
      const copy = { ...roomy, endpoints: [...(roomy.endpoints ?? [])] };
      fill(copy, left, max);
      changed.push(copy);
    } else plan.create.push({ ...group, endpoints: left.splice(0, max) });
  }
  if (existing.length === 0 && group.endpoints.length === 0) plan.create.push({ ...group, endpoints: [] });
  // Of several empty ones one is enough.
  const surplus = group.endpoints.length === 0 ? [...changed, ...unchanged].slice(1) : [];
  plan.update.push(...changed.filter((slice) => !surplus.includes(slice)));
  plan.delete.push(...empty, ...surplus);
}

/** Those that are still wanted, as they are now; takes them from `missing`. */
function keepEndpoints(endpoints: Endpoint[], missing: Map<string, Endpoint>): Endpoint[] {
  const kept: Endpoint[] = [];
  for (const endpoint of endpoints) {
    const key = endpointKey(endpoint);
    const wanted = missing.get(key);
    if (wanted === undefined) continue;
    missing.delete(key);
    kept.push(sameJson(wanted, endpoint) ? endpoint : wanted);
  }
  return kept;
}

function fill(slice: EndpointSlice, left: Endpoint[], max: number): void {
  const endpoints = slice.endpoints ?? [];
  slice.endpoints = [...endpoints, ...left.splice(0, Math.max(0, max - endpoints.length))];
}

/** A slice that would be deleted becomes one of its family that would be created: one write instead of two. */
function reuse(plan: Plan): void {
  plan.create = plan.create.filter(({ addressType, ports, endpoints }) => {
    const spare = plan.delete.findIndex((slice) => slice.addressType === addressType);
    if (spare < 0) return true;
    plan.update.push({ ...plan.delete.splice(spare, 1)[0]!, ports, endpoints });
    return false;
  });
}
