/** What one object counts for in quotas (upstream `pkg/quota/v1/evaluator`). Amounts are canonical quantities. */
import type { PersistentVolumeClaim, Pod, ResourceV1ResourceClaim as ResourceClaim, Service } from '#types';
import { addQuantities, compareQuantities } from '../machinery/quantity.js';
import type { KubeObject } from '../machinery/types.js';
import { type Arithmetic, aggregateWith } from '../resources/core/podspec/amounts.js';
import { storageClassOf } from '../resources/core/volume-fields.js';
import type { Resource } from '../resources/define.js';

export type Amounts = Record<string, string>;

const NAMED = new Set([
  'configmaps',
  'persistentvolumeclaims',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
]);

const quantities: Arithmetic<string> = {
  add: (a, b) => addQuantities(a, b),
  max: (a, b) => (compareQuantities(a, b) >= 0 ? a : b),
};

type Kind = Pick<Resource, 'group' | 'plural'>;

/** All that `object` uses, by the names that quotas have for it. */
export function usageOf({ group, plural }: Kind, object: KubeObject): Amounts {
  const used: Amounts = { [`count/${plural}${group === '' ? '' : `.${group}`}`]: '1' };
  if (group === 'resource.k8s.io' && plural === 'resourceclaims')
    Object.assign(used, deviceUsage(object as unknown as ResourceClaim));
  if (group !== '') return used;
  if (NAMED.has(plural)) used[plural] = '1';
  if (plural === 'pods') Object.assign(used, podUsage(object as unknown as Pod));
  if (plural === 'services') Object.assign(used, serviceUsage(object as unknown as Service));
  if (plural === 'persistentvolumeclaims')
    Object.assign(used, claimUsage(object as unknown as PersistentVolumeClaim));
  return used;
}

/** Pods that ended hold nothing any more. */
export const isTerminal = ({ status }: Pod): boolean =>
  status?.phase === 'Succeeded' || status?.phase === 'Failed';

function podUsage(pod: Pod): Amounts {
  if (isTerminal(pod)) return {};
  const used: Amounts = { pods: '1' };
  const sum = (which: 'requests' | 'limits') => {
    const own = aggregateWith(pod.spec, (c) => c.resources?.[which] ?? {}, quantities);
    const total: Amounts = { ...own, ...pod.spec.resources?.[which] };
    for (const [name, quantity] of Object.entries(pod.spec.overhead ?? {}))
      if (which === 'requests' || total[name] !== undefined)
        total[name] = addQuantities(total[name], quantity);
    return total;
  };
  for (const [name, quantity] of Object.entries(sum('requests'))) {
    used[`requests.${name}`] = quantity;
    if (!name.includes('/')) used[name] = quantity;
  }
  for (const [name, quantity] of Object.entries(sum('limits'))) used[`limits.${name}`] = quantity;
  return used;
}

function serviceUsage({ spec }: Service): Amounts {
  const balanced = spec.type === 'LoadBalancer';
  const ports = String((spec.ports ?? []).length);
  const allocates = balanced && spec.allocateLoadBalancerNodePorts !== false;
  return {
    'services.nodeports': spec.type === 'NodePort' || allocates ? ports : '0',
    'services.loadbalancers': balanced ? '1' : '0',
  };
}

function claimUsage(claim: PersistentVolumeClaim): Amounts {
  const { spec, status } = claim;
  const asked = spec.resources?.requests?.['storage'];
  const given = status?.allocatedResources?.['storage'];
  // While an expansion is taken back, what was allocated for it still counts.
  const storage = asked !== undefined && given !== undefined ? quantities.max(asked, given) : asked;
  const storageClass = storageClassOf(claim);
  const prefix = `${storageClass}.storageclass.storage.k8s.io/`;
  return {
    ...(storage === undefined ? {} : { 'requests.storage': storage }),
    ...(storageClass === '' ? {} : { [`${prefix}persistentvolumeclaims`]: '1' }),
    ...(storageClass === '' || storage === undefined ? {} : { [`${prefix}requests.storage`]: storage }),
  };
}

/** What a claim that asks for all devices counts for: as many as one can have. */
const ALL_DEVICES = 32;

/** Of each class the most that the claim may get. */
function deviceUsage({ spec }: ResourceClaim): Amounts {
  const used: Record<string, number> = {};
  for (const { exactly, firstAvailable = [] } of spec.devices?.requests ?? []) {
    const most: Record<string, number> = {};
    for (const { deviceClassName, allocationMode, count = 1 } of exactly ? [exactly] : firstAvailable) {
      const name = `${deviceClassName}.deviceclass.resource.k8s.io/devices`;
      most[name] = Math.max(most[name] ?? 0, allocationMode === 'All' ? ALL_DEVICES : count);
    }
    for (const [name, count] of Object.entries(most)) used[name] = (used[name] ?? 0) + count;
  }
  return Object.fromEntries(Object.entries(used).map(([name, count]) => [name, `${count}`]));
}

/** The sum of both, for the names of `names`. */
export function addAmounts(a: Amounts, b: Amounts, names: string[]): Amounts {
  return Object.fromEntries(names.map((name) => [name, addQuantities(a[name], b[name])]));
}
