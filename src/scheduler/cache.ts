/** The scheduler's view of the cluster: nodes with their pods, and pods assumed to be bound before the API says so. */
import type { Node } from '#types';
import { NodeInfo } from './node-info.js';
import type { PodInfo } from './pod-info.js';

interface Placed {
  info: PodInfo;
  node: string;
  assumed: boolean;
}

export class Cache {
  readonly #nodes = new Map<string, NodeInfo>();
  readonly #pods = new Map<string, Placed>();
  /** On how many nodes an image is. */
  readonly #images = new Map<string, number>();
  #list: NodeInfo[] | undefined;

  /** All nodes that exist; the same array until one comes or goes. */
  get nodes(): NodeInfo[] {
    this.#list ??= [...this.#nodes.values()].filter((info) => info.node !== undefined);
    return this.#list;
  }

  node(name: string): NodeInfo | undefined {
    return this.#nodes.get(name);
  }

  nodesWithImage(image: string): number {
    return this.#images.get(image) ?? 0;
  }

  setNode(node: Node): NodeInfo {
    const info = this.#nodeInfo(node.metadata.name);
    if (info.node === undefined) this.#list = undefined;
    this.#countImages(info, -1);
    info.setNode(node);
    this.#countImages(info, 1);
    return info;
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (info === undefined) return;
    this.#countImages(info, -1);
    info.setNode(undefined);
    this.#list = undefined;
    this.#dropIfUnused(info);
  }

  isAssumed(uid: string): boolean {
    return this.#pods.get(uid)?.assumed === true;
  }

  /** Counts a pod on a node while its binding is under way. */
  assume(info: PodInfo, node: string): void {
    this.#place(info, node, true);
  }

  /** The binding failed. */
  forget(uid: string): void {
    if (this.isAssumed(uid)) this.removePod(uid);
  }

  /** The API says that the pod is on its node: it is new, it was assumed, or it changed. */
  setPod(info: PodInfo): NodeInfo {
    return this.#place(info, info.pod.spec.nodeName ?? '', false);
  }

  /** Returns the node that the pod was on. */
  removePod(uid: string): NodeInfo | undefined {
    const placed = this.#pods.get(uid);
    if (placed === undefined) return undefined;
    this.#pods.delete(uid);
    const node = this.#nodes.get(placed.node);
    node?.remove(placed.info);
    if (node !== undefined) this.#dropIfUnused(node);
    return node;
  }

  #place(info: PodInfo, node: string, assumed: boolean): NodeInfo {
    this.removePod(info.uid);
    const nodeInfo = this.#nodeInfo(node);
    nodeInfo.add(info);
    this.#pods.set(info.uid, { info, node, assumed });
    return nodeInfo;
  }

  #nodeInfo(name: string): NodeInfo {
    let info = this.#nodes.get(name);
    if (info === undefined) {
      info = new NodeInfo(name);
      this.#nodes.set(name, info);
    }
    return info;
  }

  #dropIfUnused(info: NodeInfo): void {
    if (info.node === undefined && info.pods.size === 0) this.#nodes.delete(info.name);
  }

  #countImages(info: NodeInfo, by: 1 | -1): void {
    for (const image of info.imageSizes.keys()) {
      const count = (this.#images.get(image) ?? 0) + by;
      if (count > 0) this.#images.set(image, count);
      else this.#images.delete(image);
    }
  }
}
