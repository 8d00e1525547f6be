/** A node as the scheduler sees it: what it has, and what its pods (assumed ones too) take of that. */
import type { Node } from '#types';
import { amounts, type ResourceAmounts } from '../api/resources/core/podspec/amounts.js';
import type { HostPort, PodInfo } from './pod-info.js';

const ANY_IP = '0.0.0.0';

export class NodeInfo {
  readonly name: string;
  /** Undefined while only its pods are known. */
  node: Node | undefined;
  allocatable: ResourceAmounts = {};
  readonly pods = new Map<string, PodInfo>();
  /** Those that want to be with or away from others. */
  readonly podsWithAffinity = new Map<string, PodInfo>();
  readonly requested: ResourceAmounts = {};
  readonly scored = { cpu: 0, memory: 0 };
  /** Bytes by name of image. */
  imageSizes = new Map<string, number>();
  readonly #ports = new Map<string, number>();
  readonly #owners = new Map<string, number>();

  constructor(name: string) {
    this.name = name;
  }

  setNode(node: Node | undefined): void {
    this.node = node;
    this.allocatable = amounts(node?.status?.allocatable);
    this.imageSizes = new Map();
    for (const { names = [], sizeBytes = 0 } of node?.status?.images ?? [])
      for (const name of names) this.imageSizes.set(name, sizeBytes);
  }

  add(info: PodInfo): void {
    this.pods.set(info.uid, info);
    const { affinity } = info.pod.spec;
    if (affinity?.podAffinity || affinity?.podAntiAffinity) this.podsWithAffinity.set(info.uid, info);
    this.#count(info, 1);
  }

  remove(info: PodInfo): void {
    if (!this.pods.delete(info.uid)) return;
    this.podsWithAffinity.delete(info.uid);
    this.#count(info, -1);
  }

  /** A copy that can be changed apart. */
  clone(): NodeInfo {
    const copy = new NodeInfo(this.name);
    copy.node = this.node;
    copy.allocatable = this.allocatable;
    copy.imageSizes = this.imageSizes;
    for (const info of this.pods.values()) copy.add(info);
    return copy;
  }

  /** How many pods of the node the same controller made. */
  ownedBy(owner: string): number {
    return this.#owners.get(owner) ?? 0;
  }

  /** Whether another pod has the port: on the same address, or either of them on all. */
  portTaken({ protocol, ip, port }: HostPort): boolean {
    if (this.#ports.size === 0) return false;
    const end = `/${protocol}/${port}`;
    if (ip !== ANY_IP) return this.#ports.has(ip + end) || this.#ports.has(ANY_IP + end);
    for (const taken of this.#ports.keys()) if (taken.endsWith(end)) return true;
    return false;
  }

  #count(info: PodInfo, sign: 1 | -1): void {
    for (const name in info.requests)
      this.requested[name] = (this.requested[name] ?? 0) + sign * info.requests[name]!;
    this.scored.cpu += sign * info.scored.cpu;
    this.scored.memory += sign * info.scored.memory;
    for (const { protocol, ip, port } of info.hostPorts) bump(this.#ports, `${ip}/${protocol}/${port}`, sign);
    if (info.owner !== '') bump(this.#owners, info.owner, sign);
  }
}

function bump(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
