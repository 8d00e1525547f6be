/** Evicts pods from nodes with NoExecute taints, after as long as they tolerate them (upstream `tainteviction`). */
import type { Node, Pod, Taint, Toleration } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { isReason } from '../../api/machinery/status.js';
import { toleratesTaint } from '../../api/machinery/taints.js';
import { objectKey } from '../../api/machinery/types.js';
import { nodes, pods } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { podsByNode } from '../pod-gc.js';
import { podCondition } from '../pods.js';

export function startTaintEviction(options: ControllersOptions): Controller {
  return new TaintEviction(contextOf(options, 'node-controller', 'taint-eviction-controller')).loop;
}

/** How many seconds the tolerations bear all the taints: 0 for none, Infinity for ever. */
export function toleratedSeconds(taints: Taint[], tolerations: Toleration[]): number {
  let seconds = Number.POSITIVE_INFINITY;
  for (const taint of taints) {
    const toleration = tolerations.find((candidate) => toleratesTaint(candidate, taint));
    if (toleration === undefined) return 0;
    if (toleration.tolerationSeconds !== undefined)
      seconds = Math.min(seconds, Math.max(0, toleration.tolerationSeconds));
  }
  return seconds;
}

class TaintEviction {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #nodes: Informer<Node>;
  readonly #pods: Informer<Pod>;
  /** Pods that are to go, with the time (ms) from which their seconds count. */
  readonly #marked = new Map<string, { uid: string; since: number }>();

  constructor(context: Context) {
    this.#context = context;
    this.#nodes = context.informers.of(nodes);
    this.#pods = context.informers.of(pods, { indexes: podsByNode });
    const synced = [this.#nodes.synced, this.#pods.synced];
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key), 8);
    this.loop.onClose(
      this.#nodes.on({
        added: (node) => this.#nodeChanged(undefined, node),
        updated: (old, node) => this.#nodeChanged(old, node),
      }),
      this.#pods.on({
        added: (pod) => this.#podChanged(undefined, pod),
        updated: (old, pod) => this.#podChanged(old, pod),
        deleted: (pod) => this.#marked.delete(objectKey(pod)),
      }),
    );
  }

  #nodeChanged(old: Node | undefined, node: Node): void {
    const before = old === undefined ? [] : evicting(old);
    if (JSON.stringify(before) === JSON.stringify(evicting(node))) return;
    for (const pod of this.#pods.byIndex('node', node.metadata.name)) this.loop.queue.add(objectKey(pod));
  }

  #podChanged(old: Pod | undefined, pod: Pod): void {
    const node = this.#nodes.get(pod.spec.nodeName ?? '');
    if (node === undefined || evicting(node).length === 0) return;
    const placed = old?.spec.nodeName !== pod.spec.nodeName;
    if (placed || old?.metadata.generation !== pod.metadata.generation) this.loop.queue.add(objectKey(pod));
  }

  async #reconcile(key: string): Promise<void> {
    const pod = this.#pods.get(key);
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) {
      this.#marked.delete(key);
      return;
    }
    const node = this.#nodes.get(pod.spec.nodeName ?? '');
    const taints = node === undefined ? [] : evicting(node);
    const seconds = toleratedSeconds(taints, pod.spec.tolerations ?? []);
    if (seconds === Number.POSITIVE_INFINITY) {
      if (this.#marked.delete(key)) this.#event(pod, 'Cancelling deletion of Pod');
      return;
    }
    const now = this.#context.clock.elapsed();
    const due = this.#since(key, pod, taints) + seconds * 1000;
    if (seconds > 0 && due > now) this.loop.queue.addAfter(key, due - now);
    else await this.#evict(key, pod);
  }

  /** From the taints' own time where they tell it, so that a restart does not give more time. */
  #since(key: string, pod: Pod, taints: Taint[]): number {
    const marked = this.#marked.get(key);
    const uid = pod.metadata.uid ?? '';
    if (marked?.uid === uid) return marked.since;
    const { clock } = this.#context;
    const now = clock.now();
    const placed = podCondition(pod, 'PodScheduled')?.lastTransitionTime ?? pod.metadata.creationTimestamp;
    const times = [placed, ...taints.map(({ timeAdded }) => timeAdded)].map((time) =>
      time === undefined ? now : Date.parse(time),
    );
    const since = clock.elapsed() - Math.max(0, now - Math.max(...times));
    this.#marked.set(key, { uid, since });
    return since;
  }

  async #evict(key: string, pod: Pod): Promise<void> {
    const { namespace = '', name, uid } = pod.metadata;
    this.#event(pod, 'Marking for deletion Pod');
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
      lastTransitionTime: timestamp(this.#context.clock.now()),
    };
    const patch = { metadata: { uid }, status: { conditions: [condition] } };
    const client = this.#context.client.of(pods);
    try {
      await client.patch(namespace, name, patch, { type: 'strategic', subresource: 'status' });
      await client.delete(namespace, name, uid === undefined ? {} : { preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
    this.#marked.delete(key);
  }

  #event(pod: Pod, words: string): void {
    this.#context.events.event(pod, 'Normal', 'TaintManagerEviction', `${words} ${objectKey(pod)}`);
  }
}

function evicting(node: Node): Taint[] {
  return node.spec.taints?.filter(({ effect }) => effect === 'NoExecute') ?? [];
}
