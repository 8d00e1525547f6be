/** Removes pods nobody else will: too many finished ones, and those of nodes that are gone (upstream `podgc`). */
import type { Node, Pod } from '#types';
import { timestamp } from '../api/machinery/clock.js';
import { isReason } from '../api/machinery/status.js';
import { objectKey } from '../api/machinery/types.js';
import { nodes, pods } from '../api/resources/index.js';
import type { Informer } from '../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';
import { isPodTerminal } from './pods.js';

const THRESHOLD = 12_500;
/** How long a node must be gone: one that was renamed or re-created shows up before. */
const QUARANTINE = 40_000;
const NODE_INDEX = 'node';
const FINISHED = 'finished';
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';

export function startPodGc(options: ControllersOptions): Controller {
  return new PodGc(contextOf(options, 'pod-garbage-collector')).loop;
}

/** The index that finds the pods of a node; '' for those without. */
export const podsByNode = { [NODE_INDEX]: (pod: Pod) => [pod.spec.nodeName ?? ''] };

/** Keys are `node/<name>`, `pod/<namespace>/<name>` for one pod, and `finished`. */
class PodGc {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #pods: Informer<Pod>;
  readonly #nodes: Informer<Node>;
  readonly #threshold: number;
  #finished = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#threshold = context.terminatedPodThreshold ?? THRESHOLD;
    this.#pods = context.informers.of(pods, { indexes: podsByNode });
    this.#nodes = context.informers.of(nodes);
    const synced = [this.#pods.synced, this.#nodes.synced];
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key), 1);
    this.loop.onClose(
      this.#nodes.on({
        updated: (_, node) => {
          if (isOutOfService(node)) this.loop.queue.add(`node/${node.metadata.name}`);
        },
        deleted: (node) => this.loop.queue.addAfter(`node/${node.metadata.name}`, QUARANTINE),
      }),
      this.#pods.on({
        added: (pod) => this.#podChanged(undefined, pod),
        updated: (old, pod) => this.#podChanged(old, pod),
        deleted: (pod) => {
          if (isPodTerminal(pod)) this.#finished--;
        },
      }),
    );
  }

  #podChanged(old: Pod | undefined, pod: Pod): void {
    const { nodeName } = pod.spec;
    if (isPodTerminal(pod) && !(old && isPodTerminal(old)) && ++this.#finished > this.#threshold)
      this.loop.queue.add(FINISHED);
    if (!nodeName && pod.metadata.deletionTimestamp !== undefined)
      this.loop.queue.add(`pod/${objectKey(pod)}`);
    else if (nodeName && nodeName !== old?.spec.nodeName && this.#nodes.get(nodeName) === undefined)
      this.loop.queue.addAfter(`node/${nodeName}`, QUARANTINE);
    else if (nodeName && pod.metadata.deletionTimestamp !== undefined) {
      const node = this.#nodes.get(nodeName);
      if (node !== undefined && isOutOfService(node)) this.loop.queue.add(`node/${nodeName}`);
    }
  }

  async #reconcile(key: string): Promise<void> {
    if (key === FINISHED) return this.#collectFinished();
    if (key.startsWith('node/')) return this.#collectOfNode(key.slice('node/'.length));
    const pod = this.#pods.get(key.slice('pod/'.length));
    if (pod && !pod.spec.nodeName && pod.metadata.deletionTimestamp !== undefined)
      await this.#remove(pod, undefined);
  }

  /** The oldest first; evicted ones before the others. */
  async #collectFinished(): Promise<void> {
    const finished = this.#pods.list().filter(isPodTerminal);
    const isEvicted = (pod: Pod): boolean => pod.status?.reason === 'Evicted';
    finished.sort(
      (a, b) =>
        Number(isEvicted(b)) - Number(isEvicted(a)) ||
        (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''),
    );
    for (const pod of finished.slice(0, Math.max(0, finished.length - this.#threshold)))
      await this.#remove(pod, undefined);
  }

  async #collectOfNode(name: string): Promise<void> {
    const node = this.#nodes.get(name) ?? (await this.#liveNode(name));
    if (node === undefined)
      for (const pod of this.#pods.byIndex(NODE_INDEX, name))
        await this.#remove(pod, 'PodGC: node no longer exists');
    else if (isOutOfService(node))
      for (const pod of this.#pods.byIndex(NODE_INDEX, name))
        if (pod.metadata.deletionTimestamp !== undefined)
          await this.#remove(pod, 'PodGC: node is out-of-service');
  }

  async #liveNode(name: string): Promise<Node | undefined> {
    try {
      return await this.#context.client.of(nodes).get('', name);
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Ends the pod without asking its node; `disruption` is why a pod that still ran has failed. */
  async #remove(pod: Pod, disruption: string | undefined): Promise<void> {
    const { namespace = '', name, uid } = pod.metadata;
    const client = this.#context.client.of(pods);
    try {
      if (!isPodTerminal(pod)) await this.#markFailed(pod, disruption);
      const preconditions = uid === undefined ? undefined : { uid };
      await client.delete(namespace, name, { gracePeriodSeconds: 0, preconditions });
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  }

  async #markFailed(pod: Pod, message: string | undefined): Promise<void> {
    const { namespace = '', name, uid } = pod.metadata;
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByPodGC',
      message,
      lastTransitionTime: timestamp(this.#context.clock.now()),
    };
    const status = { phase: 'Failed', ...(message === undefined ? {} : { conditions: [condition] }) };
    const patch = { metadata: { uid }, status };
    await this.#context.client
      .of(pods)
      .patch(namespace, name, patch, { type: 'strategic', subresource: 'status' });
  }
}

function isOutOfService(node: Node): boolean {
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready');
  return ready?.status !== 'True' && node.spec.taints?.some((taint) => taint.key === OUT_OF_SERVICE) === true;
}
