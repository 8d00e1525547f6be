/** Which addresses each Service of type LoadBalancer gets. Pure. */
import type { EndpointSlice, Node, Service } from '#types';
import { familyOf, type IpFamily } from '../../api/machinery/prefix.js';
import { objectKey } from '../../api/machinery/types.js';
import { LOAD_BALANCER_CLASS, LOAD_BALANCER_NODE } from '../../api/resources/core/load-balancer.js';
import { familiesOf } from '../endpoint-slice/service-pods.js';
import { nodeAddresses } from '../node-address.js';
import type { AddressPool } from './pool.js';

export interface Assignment {
  addresses: string[];
  /** With a pool: the node that answers for the address. */
  node?: string;
  /** Why there is no address. */
  problem?: string;
}

export interface PlanInput {
  services: Service[];
  nodes: Node[];
  /** EndpointSlices of a Service. */
  slices(service: Service): EndpointSlice[];
  pool: AddressPool | undefined;
}

const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';

/** Whether Keelson is to give the Service its addresses. */
export const isOurs = ({ metadata, spec }: Service): boolean =>
  spec.type === 'LoadBalancer' &&
  !metadata.deletionTimestamp &&
  (spec.loadBalancerClass === undefined || spec.loadBalancerClass === LOAD_BALANCER_CLASS);

/** By key. What a Service has it keeps; where two want the same, the older gets it. */
export function planLoadBalancers(input: PlanInput): Map<string, Assignment> {
  const ours = input.services.filter(isOurs).sort(byAge);
  const ready = input.nodes.filter(
    (node) => nodeAddresses(node).length > 0 && metadataLabel(node, EXCLUDED) === undefined,
  );
  return input.pool ? fromPool(ours, ready, input.pool, input.slices) : fromNodes(ours, ready, input.slices);
}

const metadataLabel = ({ metadata }: Node, label: string) => metadata.labels?.[label];

/** The nodes' own addresses: each port of theirs can lead to one Service only. */
function fromNodes(ours: Service[], ready: Node[], slices: PlanInput['slices']): Map<string, Assignment> {
  const owners = new Map<string, string>();
  const plan = new Map<string, Assignment>();
  for (const service of ours) {
    const key = objectKey(service);
    const ports = (service.spec.ports ?? []).map(({ port, protocol = 'TCP' }) => `${port}/${protocol}`);
    const taken = ports.find((port) => owners.has(port));
    if (taken !== undefined) {
      plan.set(key, {
        addresses: [],
        problem: `port ${taken} of the nodes is taken by ${owners.get(taken)}`,
      });
      continue;
    }
    for (const port of ports) owners.set(port, key);
    const families = familiesOf(service);
    const addresses = eligible(service, ready, slices)
      .flatMap(nodeAddresses)
      .filter((address) => families.includes(familyOf(address)));
    plan.set(key, addresses.length > 0 ? { addresses: addresses.sort() } : { addresses, problem: NO_NODE });
  }
  return plan;
}

const NO_NODE = 'no node is available for it';

function fromPool(
  ours: Service[],
  ready: Node[],
  pool: AddressPool,
  slices: PlanInput['slices'],
): Map<string, Assignment> {
  const used = new Map<string, string>();
  for (const service of ours)
    for (const family of familiesOf(service)) {
      const ip = kept(service, family, pool);
      if (ip && !used.has(ip)) used.set(ip, objectKey(service));
    }
  const load = new Map<string, number>();
  const plan = new Map<string, Assignment>();
  for (const service of ours) {
    const key = objectKey(service);
    const addresses = familiesOf(service).flatMap((family) => {
      const current = kept(service, family, pool);
      return (current && used.get(current) === key ? current : allocate(service, family, pool, used)) ?? [];
    });
    const node = elect(service, eligible(service, ready, slices), load);
    if (addresses.length > 0 && node) plan.set(key, { addresses, node });
    else plan.set(key, { addresses: [], problem: addresses.length > 0 ? NO_NODE : noAddress(service, pool) });
  }
  return plan;
}

/** The address that the Service asks for, if it is of the family. */
const asks = ({ spec }: Service, family: IpFamily): string | undefined =>
  spec.loadBalancerIP && familyOf(spec.loadBalancerIP) === family ? spec.loadBalancerIP : undefined;

/** The address that it has and may keep. */
function kept(service: Service, family: IpFamily, pool: AddressPool): string | undefined {
  const asked = asks(service, family);
  const ips = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  return ips.find((ip) => familyOf(ip) === family && pool.has(ip) && (!asked || asked === ip));
}

function allocate(
  service: Service,
  family: IpFamily,
  pool: AddressPool,
  used: Map<string, string>,
): string | undefined {
  const asked = asks(service, family);
  const taken = new Set(used.keys());
  const address = asked
    ? pool.has(asked) && !taken.has(asked)
      ? asked
      : undefined
    : pool.firstFree(family, taken);
  if (address) used.set(address, objectKey(service));
  return address;
}

function noAddress(service: Service, pool: AddressPool): string {
  const { spec } = service;
  const families = familiesOf(service);
  if (!families.some((family) => pool.families.includes(family)))
    return `the pool has no addresses of the family ${families.join(' or ')}`;
  if (!spec.loadBalancerIP) return 'all addresses of the pool are in use';
  const why = pool.has(spec.loadBalancerIP) ? 'in use' : 'not in the pool';
  return `the address ${spec.loadBalancerIP} is ${why}`;
}

/** The node that has it keeps it; else the one that answers for the fewest. */
function elect(service: Service, candidates: Node[], load: Map<string, number>): string | undefined {
  const names = candidates.map(({ metadata }) => metadata.name).sort();
  const current = service.metadata.annotations?.[LOAD_BALANCER_NODE];
  const [least] = names.sort((a, b) => (load.get(a) ?? 0) - (load.get(b) ?? 0));
  const chosen = current && names.includes(current) ? current : least;
  if (chosen) load.set(chosen, (load.get(chosen) ?? 0) + 1);
  return chosen;
}

/** Under `externalTrafficPolicy: Local` only nodes with an endpoint serve. */
function eligible(service: Service, ready: Node[], slices: PlanInput['slices']): Node[] {
  if (service.spec.externalTrafficPolicy !== 'Local') return ready;
  const endpoints = slices(service).flatMap((slice) => slice.endpoints ?? []);
  const serving = new Set(
    endpoints.filter(({ conditions }) => conditions?.ready !== false).map(({ nodeName }) => nodeName),
  );
  return ready.filter(({ metadata }) => serving.has(metadata.name));
}

function byAge(a: Service, b: Service): number {
  const age = (service: Service) => `${service.metadata.creationTimestamp ?? ''} ${objectKey(service)}`;
  return age(a) < age(b) ? -1 : 1;
}
