/** The scheduling loop: takes pods from the queue, finds each a node, and binds it. */
import type { Logger } from 'pino';
import type { Namespace, Node, Pod, PodDisruptionBudget } from '#types';
import type { Clock } from '../api/machinery/clock.js';
import { isReason } from '../api/machinery/status.js';
import { objectKey } from '../api/machinery/types.js';
import { namespaces, nodes, podDisruptionBudgets, pods } from '../api/resources/index.js';
import { type Client, EventRecorder, type Informer, type Informers } from '../client/index.js';
import { filterNode, findNode } from './algorithm.js';
import { Cache } from './cache.js';
import { DeviceBinder } from './devices/binder.js';
import { lacksClaims } from './devices/view.js';
import type { Cycle, PodEvent, Preemption } from './framework.js';
import { shortened } from './messages.js';
import { Nominations } from './nominations.js';
import { filterPlugins } from './plugins/index.js';
import { type PodInfo, podInfo } from './pod-info.js';
import { removeVictims } from './preempt.js';
import { type QueuedPod, SchedulingQueue } from './queue.js';
import { markUnscheduled } from './status.js';
import { VolumeBinder } from './storage/binder.js';

export interface SchedulerOptions {
  /** A client that acts as this user: `system:kube-scheduler`. */
  clientFor(user: string): Client;
  informers: Informers;
  clock: Clock;
  logger: Logger;
  /** Decides between nodes of equal score; from 0 to below 1. */
  random?: () => number;
  /** Takes the pods whose `spec.schedulerName` this is; `default-scheduler` when absent. */
  schedulerName?: string;
}

/** After so many pods others get a turn on the event loop. */
const PODS_A_TURN = 20;

export class Scheduler {
  readonly #client: Client;
  readonly #events: EventRecorder;
  readonly #logger: Logger;
  readonly #name: string;
  readonly #random: () => number;
  readonly #cache = new Cache();
  readonly #queue: SchedulingQueue;
  readonly #clock: Clock;
  readonly #pods: Informer<Pod>;
  readonly #namespaces: Informer<Namespace>;
  readonly #budgets: Informer<PodDisruptionBudget>;
  readonly #nominations = new Nominations();
  readonly #storage: VolumeBinder;
  readonly #devices: DeviceBinder;
  /** Bindings and evictions under way. */
  readonly #binding = new Set<Promise<void>>();
  readonly #unsubscribe: (() => void)[];
  #start = 0;
  #ready = false;
  #running = false;
  #closed = false;

  constructor(options: SchedulerOptions) {
    const { clock, informers } = options;
    this.#client = options.clientFor('system:kube-scheduler');
    this.#logger = options.logger;
    this.#name = options.schedulerName ?? 'default-scheduler';
    this.#events = new EventRecorder(this.#client, { component: this.#name, clock, logger: this.#logger });
    this.#random = options.random ?? Math.random;
    this.#clock = clock;
    this.#queue = new SchedulingQueue(
      clock,
      () => this.#wake(),
      ({ pod }) => lacksClaims(pod, this.#devices),
    );
    this.#pods = informers.of(pods);
    this.#namespaces = informers.of(namespaces);
    this.#budgets = informers.of(podDisruptionBudgets);
    this.#storage = new VolumeBinder({
      client: this.#client,
      informers,
      clock,
      changed: () => this.#retryHelpedByStorage(),
    });
    this.#devices = new DeviceBinder({
      client: this.#client,
      informers,
      changed: () => this.#retryHelpedByDevices(),
      failed: (err, claim) => this.#logger.warn({ err, claim }, 'a claim could not be written'),
    });
    const nodeInformer = informers.of(nodes);
    this.#unsubscribe = [
      nodeInformer.on({
        added: (node) => this.#nodeChanged(undefined, node),
        updated: (old, node) => this.#nodeChanged(old, node),
        deleted: (node) => this.#nodeGone(node),
      }),
      this.#pods.on({
        added: (pod) => this.#podChanged(undefined, pod),
        updated: (old, pod) => this.#podChanged(old, pod),
        deleted: (pod) => this.#podGone(pod),
      }),
    ];
    const informed = [nodeInformer, this.#pods, this.#namespaces, this.#budgets];
    void Promise.all([
      ...informed.map(({ synced }) => synced),
      this.#storage.synced,
      this.#devices.synced,
    ]).then(() => {
      this.#ready = true;
      this.#wake();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#queue.close();
    this.#storage.close();
    this.#devices.close();
    await Promise.all(this.#binding);
    await this.#events.close();
  }

  #nodeChanged(old: Node | undefined, node: Node): void {
    const info = this.#cache.setNode(node);
    if (old !== undefined && sameForScheduling(old, node)) return;
    this.#queue.retry((pod) => filterNode(this.#cycle(pod.info), info) === undefined);
    this.#retryHelpedByNodes();
  }

  #nodeGone({ metadata }: Node): void {
    this.#cache.removeNode(metadata.name);
    this.#retryHelpedByNodes();
  }

  #podChanged(old: Pod | undefined, pod: Pod): void {
    if (isTerminal(pod)) this.#podGone(pod);
    else if (pod.spec.nodeName) this.#podPlaced(old, pod);
    else if (pod.spec.schedulerName === this.#name) this.#podWaits(old, pod);
  }

  #podPlaced(old: Pod | undefined, pod: Pod): void {
    this.#queue.delete(pod.metadata.uid ?? '');
    this.#nominations.delete(pod.metadata.uid ?? '');
    const before = old?.spec.nodeName ? old : undefined;
    if (before !== undefined && samePod(before, pod)) return;
    const info = podInfo(pod);
    const node = this.#cache.setPod(info);
    if (before !== undefined) {
      this.#retryOn(node.name);
      this.#retryHelped('pod-removed', podInfo(before));
    }
    this.#retryHelped('pod-added', info);
  }

  #podWaits(old: Pod | undefined, pod: Pod): void {
    const uid = pod.metadata.uid ?? '';
    this.#takeNomination(old, pod);
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#queue.delete(uid);
      this.#storage.poke();
    }
    // While its binding is under way it is assumed to be on its node, whatever the event says.
    else if (this.#cache.isAssumed(uid)) return;
    else if (old === undefined || !samePod(old, pod)) this.#queue.set(podInfo(pod));
    else this.#queue.refresh(podInfo(pod));
  }

  /** What was promised just now stands although this version of the pod does not tell of it yet. */
  #takeNomination(old: Pod | undefined, pod: Pod): void {
    const node = pod.status?.nominatedNodeName;
    if (pod.metadata.deletionTimestamp !== undefined) this.#nominations.delete(pod.metadata.uid ?? '');
    else if (node) this.#nominations.set(podInfo(pod), node);
    else if (old?.status?.nominatedNodeName) this.#nominations.delete(pod.metadata.uid ?? '');
  }

  #podGone(pod: Pod): void {
    const uid = pod.metadata.uid ?? '';
    this.#queue.delete(uid);
    this.#nominations.delete(uid);
    const node = this.#cache.removePod(uid);
    if (node !== undefined) this.#storage.poke();
    if (node === undefined) return;
    this.#retryOn(node.name);
    this.#retryHelped('pod-removed', podInfo(pod));
  }

  /** A node has more room: those that now fit there are tried again. */
  #retryOn(name: string): void {
    const node = this.#cache.node(name);
    if (node?.node === undefined) return;
    this.#queue.retry((pod) => filterNode(this.#cycle(pod.info), node) === undefined);
  }

  /** Tries those again that were rejected for what this pod has changed on other nodes. */
  #retryHelped(event: PodEvent, changed: PodInfo): void {
    this.#queue.retry(({ info, rejectedBy }) =>
      filterPlugins.some(
        (plugin) =>
          rejectedBy.has(plugin.name) && plugin.helps?.(event, info, changed, this.#cycle(info)) === true,
      ),
    );
  }

  /** Tries those again whose rejection counted all nodes. */
  #retryHelpedByNodes(): void {
    this.#queue.retry(({ rejectedBy }) =>
      filterPlugins.some((plugin) => plugin.helpedByNodes && rejectedBy.has(plugin.name)),
    );
  }

  /** Tries those again that lack a volume. */
  #retryHelpedByStorage(): void {
    this.#queue.retry(({ rejectedBy }) =>
      filterPlugins.some((plugin) => plugin.helpedByStorage && rejectedBy.has(plugin.name)),
    );
  }

  /** Tries those again that lack a device, and those that wait for a claim. */
  #retryHelpedByDevices(): void {
    this.#queue.openGates();
    this.#queue.retry(({ rejectedBy }) =>
      filterPlugins.some((plugin) => plugin.helpedByDevices && rejectedBy.has(plugin.name)),
    );
  }

  #cycle(pod: PodInfo): Cycle {
    return {
      pod,
      cache: this.#cache,
      nominations: this.#nominations,
      storage: this.#storage,
      devices: this.#devices,
      budgets: () => this.#budgets.list(),
      namespaceLabels: (name) => this.#namespaces.get(name)?.metadata.labels ?? {},
    };
  }

  #wake(): void {
    if (this.#running || !this.#ready || this.#closed) return;
    this.#running = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    for (let i = 0; i < PODS_A_TURN && !this.#closed; i++) {
      const pod = this.#queue.pop();
      if (pod === undefined) {
        this.#running = false;
        return;
      }
      this.#schedule(pod);
    }
    setImmediate(() => this.#run());
  }

  #schedule(pod: QueuedPod): void {
    const { info } = pod;
    const result = findNode(this.#cycle(info), this.#start, this.#random);
    this.#start = result.next;
    if (result.node === undefined) {
      const { preemption } = result;
      this.#queue.unschedulable(pod, result.rejectedBy);
      if (preemption) this.#preempt(info, preemption);
      else if (preemption === null) this.#nominations.delete(info.uid);
      const nominated = preemption ? preemption.node.name : preemption;
      this.#report(info, 'Unschedulable', result.message, nominated);
      return;
    }
    this.#cache.assume(info, result.node.name);
    const isWanted = () => this.#isWaiting(info);
    const volumes = this.#storage.reserve(info.pod, result.node.node!, isWanted);
    const claims = this.#devices.reserve(info.pod, result.node.node!);
    this.#track(this.#bind(pod, result.node.name, { volumes, claims }));
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#binding.delete(tracked));
    this.#binding.add(tracked);
  }

  /** Promises the node to the pod; others of lower priority that wait for it look elsewhere. */
  #preempt(info: PodInfo, preemption: Preemption): void {
    const { name } = preemption.node;
    for (const other of this.#nominations.on(name))
      if (other.priority < info.priority) {
        this.#nominations.delete(other.uid);
        this.#track(this.#clearNomination(other));
      }
    this.#nominations.set(info, name);
    const preemptor = {
      client: this.#client,
      events: this.#events,
      name: this.#name,
      now: this.#clock.now(),
    };
    this.#track(
      removeVictims(preemptor, info, preemption).catch((error: unknown) => {
        if (this.#closed) return;
        this.#logger.warn({ pod: info.key, node: name, err: error }, 'preemption failed');
        this.#nominations.delete(info.uid);
        this.#retryOn(name);
      }),
    );
  }

  async #clearNomination({ pod }: PodInfo): Promise<void> {
    const { namespace = '', name, uid } = pod.metadata;
    const patch = { metadata: { uid }, status: { nominatedNodeName: null } };
    await this.#client
      .of(pods)
      .patch(namespace, name, patch, { type: 'merge', subresource: 'status' })
      .catch((error: unknown) => {
        if (!isReason(error, 'NotFound') && !this.#closed)
          this.#logger.warn({ pod: objectKey(pod), err: error }, 'nominatedNodeName could not be cleared');
      });
  }

  /** First the pod's volumes and devices, then its node. */
  async #bind(
    pod: QueuedPod,
    node: string,
    { volumes, claims }: { volumes?: Reserved; claims?: ReturnType<DeviceBinder['reserve']> },
  ): Promise<void> {
    const { namespace = '', name, uid } = pod.info.pod.metadata;
    const failed = (plugin: string) => (error: Error) => {
      throw new Error(`running PreBind plugin "${plugin}": ${error.message}`);
    };
    try {
      await volumes?.().catch(failed('VolumeBinding'));
      await claims?.bind().catch(failed('DynamicResources'));
      await this.#client.of(pods).createSubresource(namespace, name, 'binding', {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { namespace, name, uid },
        target: { kind: 'Node', name: node },
      });
      const message = `Successfully assigned ${namespace}/${name} to ${node}`;
      this.#events.event(pod.info.pod, 'Normal', 'Scheduled', message);
    } catch (error) {
      await claims?.undo();
      this.#bindFailed(pod, node, error);
    }
  }

  /** Whether the pod is still there, to stay, and without a node. */
  #isWaiting({ key, uid }: PodInfo): boolean {
    const current = this.#pods.get(key);
    if (current?.metadata.uid !== uid || current.spec.nodeName) return false;
    return current.metadata.deletionTimestamp === undefined;
  }

  #bindFailed(pod: QueuedPod, node: string, error: unknown): void {
    const { info } = pod;
    this.#cache.forget(info.uid);
    this.#retryOn(node);
    if (this.#closed) return;
    const current = this.#pods.get(info.key);
    if (current === undefined || !this.#isWaiting(info) || isReason(error, 'NotFound')) {
      this.#queue.delete(info.uid);
      return;
    }
    this.#logger.warn({ pod: info.key, node, err: error }, 'binding failed; the pod is tried again');
    this.#queue.refresh(podInfo(current));
    this.#queue.failed(pod);
    this.#report(info, 'SchedulerError', (error as Error).message);
  }

  #report(
    { pod, key }: PodInfo,
    reason: 'Unschedulable' | 'SchedulerError',
    message: string,
    nominated?: string | null,
  ): void {
    this.#logger.debug({ pod: key, reason }, message);
    this.#events.event(pod, 'Warning', 'FailedScheduling', shortened(message));
    const now = this.#clock.now();
    markUnscheduled(this.#client, pod, reason, message, now, nominated).catch((error: unknown) => {
      if (!isReason(error, 'NotFound') && !this.#closed)
        this.#logger.warn({ pod: key, err: error }, 'the condition PodScheduled could not be written');
    });
  }
}

function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

type Reserved = (() => Promise<void>) | undefined;

/** Whether nothing that scheduling looks at has changed. */
function samePod(a: Pod, b: Pod): boolean {
  const { generation } = a.metadata;
  return (
    generation === b.metadata.generation &&
    a.spec.nodeName === b.spec.nodeName &&
    a.metadata.deletionTimestamp === b.metadata.deletionTimestamp &&
    same(a.metadata.labels, b.metadata.labels) &&
    // The generation counts changes of the spec.
    (generation !== undefined || same(a.spec, b.spec)) &&
    same(allocated(a), allocated(b))
  );
}

/** What a running pod has been given may differ from what it asks for while it is resized. */
function allocated(pod: Pod): unknown {
  const { status } = pod;
  const given = [...(status?.containerStatuses ?? []), ...(status ? [status] : [])];
  return given.map(({ allocatedResources, resources }) => [allocatedResources, resources]);
}

function sameForScheduling(a: Node, b: Node): boolean {
  return (
    same(a.spec, b.spec) &&
    same(a.metadata.labels, b.metadata.labels) &&
    same(a.status?.allocatable, b.status?.allocatable)
  );
}

function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
