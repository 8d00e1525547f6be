/** From one Service and its EndpointSlices to elements of the maps. Pure. */
import type { EndpointSlice, Service, ServicePort } from '#types';
import { familyOf, type IpFamily } from '../../api/machinery/prefix.js';
import { type Backend, backendsOf, type NodeFacts, near, usable } from './endpoints.js';
import { type Dispatch, GUARDS, idsOf, MASQUERADE, REFUSE } from './layout.js';
import { pickChain } from './pick.js';
import { guardChain, rangesOf } from './source-ranges.js';

/** `<map> <key>` → data, as nft would show them; data is empty in sets. */
export type Elements = Map<string, string>;

/** Where a load balancer asks, and how many ready endpoints of the Service the node has. */
export interface Health {
  port: number;
  local: number;
}

export interface Compiled {
  elements: Elements;
  /** Endpoints by target, each at its index. */
  slots: Map<string, string[]>;
  /** UDP destinations that are served: by address and port, or at any address by port alone. */
  udp: Set<string>;
  health?: Health;
  /** Chains that guard addresses of load balancers, with the ranges of clients that they let through. */
  guards?: Map<string, string[]>;
}

/** Gives names their numbers, the same each time. */
export type NumberOf = (name: string) => number;

const DEFAULT_AFFINITY_SECONDS = 10_800;
export const NOTHING: Compiled = { elements: new Map(), slots: new Map(), udp: new Set() };

/** For one IP family. `previous`: what the same service was before, so that endpoints that stay keep their indexes. */
export function compile(
  service: Service,
  slices: EndpointSlice[],
  node: NodeFacts,
  numberOf: NumberOf,
  previous: Compiled = NOTHING,
  family: IpFamily = 'IPv4',
): Compiled {
  const result: Compiled = { elements: new Map(), slots: new Map(), udp: new Set() };
  const { spec } = service;
  if (spec.type === 'ExternalName' || !spec.clusterIP || spec.clusterIP === 'None') return result;
  const addresses = addressesOf(service, family);
  // A Service that does not have the family has no part in it, nor a port of the node.
  if (addresses.cluster.length === 0) return result;
  for (const ip of addresses.cluster) result.elements.set(`cluster-ips ${ip}`, '');
  const localAddresses = new Set<string>();
  for (const port of spec.ports ?? []) {
    const backends = backendsOf(slices, port, node, family);
    for (const { local, ready, address } of backends) if (local && ready) localAddresses.add(address);
    new PortCompiler(service, addresses, port, backends, node, numberOf, previous, result).compile();
  }
  const { healthCheckNodePort: healthPort } = spec;
  const isFirst = familyOf(spec.clusterIP) === family;
  if (isFirst && spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local' && healthPort)
    result.health = { port: healthPort, local: localAddresses.size };
  return guard(service, addresses.balancer, family, result);
}

interface Addresses {
  cluster: string[];
  /** Of load balancers. A proxying balancer's own address is not translated. */
  balancer: string[];
  /** All those outside of the cluster that lead to the service. */
  external: string[];
}

function addressesOf({ spec, status }: Service, family: IpFamily): Addresses {
  const ofFamily = (ips: (string | undefined)[]) =>
    ips.filter((ip): ip is string => !!ip && familyOf(ip) === family);
  const ingress = spec.type === 'LoadBalancer' ? (status?.loadBalancer?.ingress ?? []) : [];
  const balancer = ofFamily(ingress.filter(({ ipMode }) => ipMode !== 'Proxy').map(({ ip }) => ip));
  return {
    cluster: ofFamily(spec.clusterIPs ?? [spec.clusterIP]),
    balancer,
    external: [...new Set([...ofFamily(spec.externalIPs ?? []), ...balancer])],
  };
}

/** As upstream, only the balancer's addresses are guarded, not the ports of nodes nor external addresses. */
function guard(
  service: Service,
  balancerIps: string[],
  family: IpFamily,
  { elements, ...result }: Compiled,
): Compiled {
  const { loadBalancerSourceRanges: given, ports = [] } = service.spec;
  const ranges = rangesOf(given ?? [], family);
  if (ranges.length === 0) return { elements, ...result };
  const chain = guardChain(ranges);
  for (const ip of balancerIps)
    for (const { port, protocol = 'TCP' } of ports)
      elements.set(`${GUARDS} ${ip} . ${protocol.toLowerCase()} . ${port}`, `jump ${chain}`);
  return { elements, ...result, guards: new Map([[chain, ranges]]) };
}

/** One port of a service. */
class PortCompiler {
  readonly #protocol: string;
  readonly #affinity: number | undefined;
  /** Upstream: what is served cluster-wide, and what is served on this node. */
  readonly #all: Backend[];
  readonly #local: Backend[];

  constructor(
    private readonly service: Service,
    private readonly addresses: Addresses,
    private readonly port: ServicePort,
    backends: Backend[],
    node: NodeFacts,
    private readonly numberOf: NumberOf,
    private readonly previous: Compiled,
    private readonly result: Compiled,
  ) {
    const { sessionAffinity, sessionAffinityConfig } = service.spec;
    this.#protocol = (port.protocol ?? 'TCP').toLowerCase();
    if (sessionAffinity === 'ClientIP')
      this.#affinity = sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS;
    this.#all = near(usable(backends), node);
    this.#local = usable(backends.filter(({ local }) => local));
  }

  compile(): void {
    const { spec } = this.service;
    const { port } = this.port;
    const inside = spec.internalTrafficPolicy === 'Local';
    const outside = spec.externalTrafficPolicy === 'Local';
    for (const ip of this.addresses.cluster)
      this.#serve('services', `${ip} . ${this.#protocol} . ${port}`, inside);
    for (const ip of this.addresses.external) {
      const key = `${ip} . ${this.#protocol} . ${port}`;
      this.#serve('services', key, false);
      if (outside) this.#serve('services-outside', key, true);
      else this.result.elements.set(`${MASQUERADE.addresses} ${key}`, '');
    }
    if (!this.port.nodePort) return;
    const key = `${this.#protocol} . ${this.port.nodePort}`;
    this.#serve('nodeports', key, false);
    if (outside) this.#serve('nodeports-outside', key, true);
    else this.result.elements.set(`${MASQUERADE.ports} ${key}`, '');
  }

  /** Leads what is for `key` to endpoints; `local`: to those of this node only. */
  #serve(dispatch: Dispatch, key: string, local: boolean): void {
    const backends = local ? this.#local : this.#all;
    const { elements, udp } = this.result;
    if (backends.length === 0) {
      // Where others could serve it, only this node has nobody, the packet is dropped, as upstream.
      elements.set(`${dispatch} ${key}`, this.#all.length > 0 ? 'drop' : `goto ${REFUSE}`);
      return;
    }
    const target = this.#target(local ? 'local' : 'cluster', backends);
    elements.set(`${dispatch} ${key}`, `goto ${pickChain(dispatch, backends.length, this.#affinity)}`);
    elements.set(`${idsOf(dispatch)} ${key}`, String(target));
    if (this.#protocol === 'udp') udp.add(key.replace('udp . ', ''));
  }

  /** The endpoints under a number of their own. */
  #target(policy: 'cluster' | 'local', backends: Backend[]): number {
    const { namespace, name } = this.service.metadata;
    const target = `${namespace}/${name}:${this.port.name ?? ''}:${this.#protocol}:${this.port.port}:${policy}`;
    const id = this.numberOf(target);
    if (this.result.slots.has(target)) return id;
    const slots = keepSlots(
      this.previous.slots.get(target) ?? [],
      backends.map(({ at }) => at),
    );
    this.result.slots.set(target, slots);
    const { elements } = this.result;
    slots.forEach((at, i) => {
      elements.set(`endpoints ${id} . ${i}`, at);
      if (this.#affinity === undefined) return;
      const endpoint = this.numberOf(`${target} ${at}`);
      elements.set(`sticky-members ${id} . ${i}`, String(endpoint));
      elements.set(`sticky-endpoints ${endpoint}`, at);
    });
    for (const { local, address } of backends) if (local) elements.set(`hairpin ${address} . ${address}`, '');
    return id;
  }
}

/** What stays keeps its index; what is new fills the holes; the last ones fill those that remain. */
export function keepSlots(previous: string[], wanted: string[]): string[] {
  const fresh = new Set(wanted);
  const kept: (string | undefined)[] = previous.map((at) => (fresh.delete(at) ? at : undefined));
  const waiting = [...fresh];
  for (let i = 0; i < kept.length; i++) kept[i] ??= waiting.shift();
  const slots = [...kept, ...waiting];
  for (let i = 0; i < slots.length; i++) {
    if (slots[i] !== undefined) continue;
    while (slots.length > i && slots.at(-1) === undefined) slots.pop();
    if (slots.length > i) slots[i] = slots.pop();
  }
  return slots as string[];
}
