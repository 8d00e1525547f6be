/** The NetworkPolicies of a node whose pods have addresses of several IP families: one table for each. */
import type { NetworkPolicy } from '#types';
import { familyOf, type IpFamily } from '../../api/machinery/prefix.js';
import type { PodPolicies, PolicyPod } from '../types.js';
import type { PolicyEnforcer } from './enforcer.js';

export class PolicyEnforcers implements PodPolicies {
  readonly #all: PolicyEnforcer[];

  /** `families`: those of the cluster, known at the start. */
  constructor(
    private readonly enforcers: Record<IpFamily, PolicyEnforcer>,
    private readonly families: () => IpFamily[],
  ) {
    this.#all = Object.values(enforcers);
  }

  policyChanged(key: string, policy: NetworkPolicy | undefined): void {
    for (const enforcer of this.#all) enforcer.policyChanged(key, policy);
  }

  peersChanged(key: string, peers: { members: string[] } | undefined): void {
    for (const enforcer of this.#all) enforcer.peersChanged(key, peers);
  }

  podChanged(uid: string, pod: PolicyPod): void {
    for (const enforcer of this.#all) enforcer.podChanged(uid, pod);
  }

  /** Resolves once what the policies say of the pod is in place, at all of its addresses. */
  async isolate(uid: string, ips: string[], pod: PolicyPod): Promise<void> {
    await Promise.all(ips.map((ip) => this.enforcers[familyOf(ip)].isolate(uid, ip, pod)));
  }

  release(uid: string): void {
    for (const enforcer of this.#all) enforcer.release(uid);
  }

  start(): void {
    for (const family of this.families()) this.enforcers[family].start();
  }

  async settled(): Promise<void> {
    await Promise.all(this.#all.map((enforcer) => enforcer.settled()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((enforcer) => enforcer.close()));
  }
}
