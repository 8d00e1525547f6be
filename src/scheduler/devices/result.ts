/** What the status of a claim says of the devices that it gets. */
import type {
  AllocationResult,
  DeviceAllocationConfiguration,
  DeviceRequestAllocationResult,
  Node,
  NodeSelectorRequirement,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#types';
import type { Inventory, Pick } from './allocate.js';

export function allocationResult(
  { spec }: ResourceClaim,
  picks: Pick[],
  inventory: Inventory,
  node: Node,
): AllocationResult {
  const results = picks.map(({ request, found, part }): DeviceRequestAllocationResult => {
    const isAdmin = 'adminAccess' in part && part.adminAccess;
    return {
      ...{ request, driver: found.driver, pool: found.pool, device: found.device.name },
      ...(isAdmin ? { adminAccess: true } : {}),
      ...(part.tolerations?.length ? { tolerations: part.tolerations } : {}),
    };
  });
  const chosen = [...new Map(picks.map(({ request, part }) => [request, part]))];
  const config: DeviceAllocationConfiguration[] = chosen.flatMap(([request, part]) =>
    (inventory.deviceClass(part.deviceClassName)?.spec.config ?? []).map((one) => ({
      ...{ source: 'FromClass', requests: [request], ...one },
    })),
  );
  const names = new Set(chosen.flatMap(([request]) => [request, request.split('/')[0]!]));
  for (const one of spec.devices?.config ?? [])
    if (!one.requests?.length || one.requests.some((name) => names.has(name)))
      config.push({ source: 'FromClaim', ...one });
  const nodeSelector = selectorOf(picks, node);
  return {
    devices: { results, ...(config.length > 0 ? { config } : {}) },
    ...(nodeSelector ? { nodeSelector } : {}),
  };
}

/** Where all of the devices can be reached; undefined: everywhere. */
function selectorOf(picks: Pick[], node: Node): AllocationResult['nodeSelector'] {
  const matchFields = new Map<string, NodeSelectorRequirement>();
  const matchExpressions = new Map<string, NodeSelectorRequirement>();
  for (const { found } of picks) {
    const { nodeName, nodeSelector } = found.slice.spec.perDeviceNodeSelection
      ? found.device
      : found.slice.spec;
    if (nodeName) {
      const only = { key: 'metadata.name', operator: 'In', values: [node.metadata.name] };
      return { nodeSelectorTerms: [{ matchFields: [only] }] };
    }
    const term = nodeSelector?.nodeSelectorTerms[0];
    for (const one of term?.matchFields ?? []) matchFields.set(JSON.stringify(one), one);
    for (const one of term?.matchExpressions ?? []) matchExpressions.set(JSON.stringify(one), one);
  }
  if (matchFields.size + matchExpressions.size === 0) return undefined;
  return {
    nodeSelectorTerms: [
      {
        ...(matchExpressions.size > 0 ? { matchExpressions: [...matchExpressions.values()] } : {}),
        ...(matchFields.size > 0 ? { matchFields: [...matchFields.values()] } : {}),
      },
    ],
  };
}
