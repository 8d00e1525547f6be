/** The pods that wait for victims to leave the node that they were promised (upstream `nominator`). */
import type { PodInfo } from './pod-info.js';

export class Nominations {
  readonly #nodes = new Map<string, string>();
  readonly #pods = new Map<string, Map<string, PodInfo>>();

  set(info: PodInfo, node: string): void {
    this.delete(info.uid);
    this.#nodes.set(info.uid, node);
    const there = this.#pods.get(node);
    if (there === undefined) this.#pods.set(node, new Map([[info.uid, info]]));
    else there.set(info.uid, info);
  }

  delete(uid: string): void {
    const node = this.#nodes.get(uid);
    if (node === undefined) return;
    this.#nodes.delete(uid);
    const there = this.#pods.get(node);
    there?.delete(uid);
    if (there?.size === 0) this.#pods.delete(node);
  }

  /** The node that a pod waits for. */
  nodeOf(uid: string): string | undefined {
    return this.#nodes.get(uid);
  }

  /** The pods that wait for a node. */
  on(node: string): PodInfo[] {
    return [...(this.#pods.get(node)?.values() ?? [])];
  }
}
