/** The Services of a node whose pods have addresses of several IP families: one proxy for each. */
import type { EndpointSlice, Service } from '#types';
import { familyOf, type IpFamily } from '../../api/machinery/prefix.js';
import type { ServiceRules } from '../types.js';
import type { NodeFacts } from './endpoints.js';
import { type AddressedPod, claimsAt } from './host-ports.js';
import type { ServiceProxy } from './proxy.js';

export class ServiceProxies implements ServiceRules {
  readonly #all: ServiceProxy[];

  /** `families`: those of the cluster, known at the start. */
  constructor(
    private readonly proxies: Record<IpFamily, ServiceProxy>,
    private readonly families: () => IpFamily[],
  ) {
    this.#all = Object.values(proxies);
  }

  setNode(facts: NodeFacts): void {
    for (const proxy of this.#all) proxy.setNode(facts);
  }

  serviceChanged(key: string, service: Service | undefined): void {
    for (const proxy of this.#all) proxy.serviceChanged(key, service);
  }

  sliceChanged(key: string, slice: EndpointSlice | undefined): void {
    for (const proxy of this.#all) proxy.sliceChanged(key, slice);
  }

  hostPortsChanged(uid: string, pod: AddressedPod | undefined): void {
    if (!pod) for (const proxy of this.#all) proxy.hostPortsChanged(uid, undefined);
    for (const ip of pod?.ips ?? [])
      this.proxies[familyOf(ip)].hostPortsChanged(uid, claimsAt(uid, ip, pod!.ports));
  }

  start(): void {
    for (const family of this.families()) this.proxies[family].start();
  }

  async withdrawn(podUid: string): Promise<void> {
    await Promise.all(this.#all.map((proxy) => proxy.withdrawn(podUid)));
  }

  async settled(): Promise<void> {
    await Promise.all(this.#all.map((proxy) => proxy.settled()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((proxy) => proxy.close()));
  }
}
