/** Watches the nodes' heartbeats and turns conditions into taints (upstream `node_lifecycle_controller.go`). */
import type { Lease, Node, NodeCondition, Pod } from '#types';
import { timestamp } from '../../api/machinery/clock.js';
import { isReason } from '../../api/machinery/status.js';
import { leases, nodes, pods } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { podsByNode } from '../pod-gc.js';
import { isPodReady, podCondition } from '../pods.js';
import { hasNoExecute, isNodeReady, nodeCondition, readinessTaint, taintsFor } from './taints.js';
import { EvictionPace, isAllDown } from './zones.js';

const GRACE_PERIOD = 40_000;
/** A check that comes later than this is no sign of a silent node: it was this process that slept. */
const LATE = 20_000;
const LEASE_NAMESPACE = 'kube-node-lease';
/** What nobody knows of a node that is silent. */
const WATCHED_CONDITIONS = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

export function startNodeHealth(options: ControllersOptions): Controller {
  return new NodeHealth(contextOf(options, 'node-controller')).loop;
}

/** The last sign of life of a node. */
interface Heartbeat {
  /** Its lease's renewTime and its Ready condition's heartbeat, as the node wrote them. */
  signs: string;
  /** When (ms, by our clock) they were seen to change. */
  at: number;
}

class NodeHealth {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #nodes: Informer<Node>;
  readonly #leases: Informer<Lease>;
  readonly #pods: Informer<Pod>;
  readonly #heartbeats = new Map<string, Heartbeat>();
  readonly #pace: EvictionPace;
  #allDown = false;

  constructor(context: Context) {
    this.#context = context;
    this.#pace = new EvictionPace(context.clock);
    this.#nodes = context.informers.of(nodes);
    this.#leases = context.informers.of(leases);
    this.#pods = context.informers.of(pods, { indexes: podsByNode });
    const synced = [this.#nodes.synced, this.#leases.synced, this.#pods.synced];
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key), 4);
    const renewed = ({ metadata }: Lease) => {
      if (metadata.namespace === LEASE_NAMESPACE) this.#noteHeartbeat(metadata.name);
    };
    this.loop.onClose(
      this.#leases.on({ added: renewed, updated: (_, lease) => renewed(lease) }),
      this.#nodes.on({
        added: (node) => {
          this.#event(node, 'RegisteredNode', `event: Registered Node ${node.metadata.name} in Controller`);
          this.#changed(undefined, node);
        },
        updated: (old, node) => this.#changed(old, node),
        deleted: (node) => {
          this.#heartbeats.delete(node.metadata.name);
          this.#event(node, 'RemovingNode', `event: Removing Node ${node.metadata.name} from Controller`);
          this.#noteDisruption();
        },
      }),
    );
  }

  #changed(old: Node | undefined, node: Node): void {
    this.#noteHeartbeat(node.metadata.name);
    if (old === undefined || isNodeReady(old) !== isNodeReady(node)) this.#noteDisruption();
    this.loop.queue.add(node.metadata.name);
  }

  #noteHeartbeat(name: string): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    const lease = this.#leases.get(`${LEASE_NAMESPACE}/${name}`);
    const ready = nodeCondition(node, 'Ready');
    // What this controller writes itself is no sign of life.
    const heartbeat = ready?.reason?.startsWith('NodeStatus') ? '' : ready?.lastHeartbeatTime;
    const signs = `${lease?.spec?.renewTime} ${heartbeat}`;
    if (this.#heartbeats.get(name)?.signs !== signs)
      this.#heartbeats.set(name, { signs, at: this.#context.clock.elapsed() });
  }

  /** When all nodes are down, or no longer, every node is looked at again. */
  #noteDisruption(): void {
    const allDown = isAllDown(this.#nodes.list());
    if (allDown === this.#allDown) return;
    this.#allDown = allDown;
    const now = this.#context.clock.elapsed();
    for (const { metadata } of this.#nodes.list()) {
      const heartbeat = this.#heartbeats.get(metadata.name);
      if (!allDown && heartbeat !== undefined) heartbeat.at = now;
      this.loop.queue.add(metadata.name);
    }
  }

  async #reconcile(name: string): Promise<void> {
    let node = this.#nodes.get(name);
    if (node === undefined) return;
    const grace = this.#context.nodeMonitorGracePeriod ?? GRACE_PERIOD;
    const now = this.#context.clock.elapsed();
    const heartbeat = this.#heartbeats.get(name);
    if (heartbeat !== undefined && isNodeReady(node) && now > heartbeat.at + grace + LATE) heartbeat.at = now;
    const left = (heartbeat?.at ?? now) + grace - now;
    if (left > 0) this.loop.queue.addAfter(name, left);
    else node = await this.#markUnknown(node);
    await this.#taint(node);
  }

  async #markUnknown(node: Node): Promise<Node> {
    const conditions = unknownConditions(node, timestamp(this.#context.clock.now()));
    if (conditions === undefined) return node;
    const wasReady = isNodeReady(node);
    const status = { ...node.status, conditions };
    const updated = await this.#context.client.of(nodes).updateStatus({ ...node, status });
    if (wasReady) {
      this.#event(node, 'NodeNotReady', 'status is now: NodeNotReady');
      await Promise.all(
        this.#pods.byIndex('node', node.metadata.name).map((pod) => this.#markPodNotReady(pod)),
      );
    }
    return updated;
  }

  async #markPodNotReady(pod: Pod): Promise<void> {
    if (!isPodReady(pod)) return;
    const { namespace = '', name, uid } = pod.metadata;
    const condition = {
      ...podCondition(pod, 'Ready'),
      status: 'False',
      lastTransitionTime: timestamp(this.#context.clock.now()),
    };
    const patch = { metadata: { uid }, status: { conditions: [condition] } };
    try {
      await this.#context.client
        .of(pods)
        .patch(namespace, name, patch, { type: 'strategic', subresource: 'status' });
      this.#context.events.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  }

  async #taint(node: Node): Promise<void> {
    const taints = taintsFor(node, this.#mayEvict(node), timestamp(this.#context.clock.now()));
    if (taints === undefined) return;
    const { name, uid, resourceVersion } = node.metadata;
    const patch = { metadata: { uid, resourceVersion }, spec: { taints: taints.length > 0 ? taints : null } };
    try {
      await this.#context.client.of(nodes).patch('', name, patch, { type: 'merge' });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  #mayEvict(node: Node): boolean {
    if (readinessTaint(node) === undefined || this.#allDown) return false;
    if (hasNoExecute(node)) return true;
    const wait = this.#pace.wait(node, this.#nodes.list());
    if (wait !== undefined && wait > 0) this.loop.queue.addAfter(node.metadata.name, wait);
    return wait === 0;
  }

  #event(node: Node, reason: string, message: string): void {
    this.#context.events.event(node, 'Normal', reason, `Node ${node.metadata.name} ${message}`);
  }
}

/** The conditions of a node that is silent; undefined when they say so already. */
export function unknownConditions(node: Node, now: string): NodeCondition[] | undefined {
  const conditions = [...(node.status?.conditions ?? [])];
  let changed = false;
  for (const type of WATCHED_CONDITIONS) {
    const at = conditions.findIndex((c) => c.type === type);
    const current = conditions[at];
    if (current?.status === 'Unknown') continue;
    changed = true;
    const never = current === undefined;
    const next: NodeCondition = {
      ...current,
      type,
      status: 'Unknown',
      reason: never ? 'NodeStatusNeverUpdated' : 'NodeStatusUnknown',
      message: never ? 'Kubelet never posted node status.' : 'Kubelet stopped posting node status.',
      lastHeartbeatTime: current?.lastHeartbeatTime ?? node.metadata.creationTimestamp,
      lastTransitionTime: now,
    };
    if (never) conditions.push(next);
    else conditions[at] = next;
  }
  return changed ? conditions : undefined;
}
