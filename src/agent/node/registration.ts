/** Keeps the Node object and its Lease: registers, tells changes at once, heartbeats. */
import type { Logger } from 'pino';
import type { Lease, Node, NodeStatus } from '#types';
import { type Clock, microTimestamp } from '../../api/machinery/clock.js';
import { isReason } from '../../api/machinery/status.js';
import type { Client, ResourceRef } from '../../client/client.js';
import type { NodeInput } from './node-object.js';
import { nodeLabels, nodeObject, nodeStatus } from './node-object.js';

const NODES: ResourceRef<Node> = {
  ...{ group: '', version: 'v1', apiVersion: 'v1', plural: 'nodes', kind: 'Node', namespaced: false },
};
const LEASES: ResourceRef<Lease> = {
  ...{ group: 'coordination.k8s.io', version: 'v1', apiVersion: 'coordination.k8s.io/v1' },
  ...{ plural: 'leases', kind: 'Lease', namespaced: true },
};
const LEASE_NAMESPACE = 'kube-node-lease';
const LEASE_SECONDS = 40;
const HEARTBEAT_MS = 10_000;
const STATUS_MS = 5 * 60_000;
const RETRY_MS = 1000;

export interface RegistrationOptions {
  client: Client;
  clock: Clock;
  logger: Logger;
  /** What the node looks like now. */
  input(previous: NodeStatus | undefined, now: number): NodeInput;
}

export class NodeRegistration {
  readonly #options: RegistrationOptions;
  #node: Node | undefined;
  #lease: Lease | undefined;
  #status: NodeStatus | undefined;
  #sentText = '';
  #sentAt = 0;
  #connected = false;
  #sending = false;
  #again = false;
  #closed = false;
  readonly #timers = new Map<string, () => void>();

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  /** The hub is there: makes sure of the Node, then beats. Resolves when it is registered; rejects if that fails. */
  async connected(): Promise<void> {
    this.#connected = true;
    this.#stopTimers();
    if (!this.#node) await this.#register();
    await Promise.all([this.#beat(), this.#tell()]);
  }

  disconnected(): void {
    this.#connected = false;
    this.#stopTimers();
  }

  /** Something that the status tells has changed. */
  changed(): void {
    if (!this.#connected || !this.#node) return;
    this.#tell().catch(() => {});
  }

  /** The Node as the API has it, for labels and transition times that others set. */
  observed(node: Node | undefined): void {
    // A Node that was deleted is not made again by a running agent, as upstream.
    if (!node) return;
    this.#node = node;
    // The control plane has given it up meanwhile: it is told anew, whatever was sent before.
    if (!node.status?.conditions?.some(({ reason }) => reason?.startsWith('NodeStatus'))) return;
    this.#sentText = '';
    this.changed();
  }

  close(): void {
    this.#closed = true;
    this.disconnected();
  }

  async #register(): Promise<void> {
    const { client, clock, logger } = this.#options;
    const nodes = client.of(NODES);
    const object = nodeObject(this.#options.input(this.#status, clock.now()));
    try {
      this.#node = await nodes.create(object);
      this.#status = this.#node.status;
      logger.info('the node is registered');
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      this.#node = await nodes.get('', object.metadata.name);
      this.#status ??= this.#node.status;
      const { name, annotations } = object.metadata;
      const labels = nodeLabels(name, object.metadata.labels ?? {});
      const known = this.#node.metadata;
      const missing = {
        labels: differing(labels, known.labels),
        annotations: differing(annotations, known.annotations),
      };
      if (Object.keys({ ...missing.labels, ...missing.annotations }).length > 0)
        this.#node = await nodes.patch('', name, { metadata: missing }, { type: 'merge' });
    }
  }

  /** Sends the status if it differs from what was sent, or that is long ago. */
  async #tell(): Promise<void> {
    if (this.#sending) {
      this.#again = true;
      return;
    }
    this.#sending = true;
    const { client, clock, logger } = this.#options;
    try {
      do {
        this.#again = false;
        const status = nodeStatus(this.#options.input(this.#status, clock.now()));
        const text = JSON.stringify(status, (key, value) =>
          key === 'lastHeartbeatTime' ? undefined : value,
        );
        if (text === this.#sentText && clock.elapsed() - this.#sentAt < STATUS_MS) continue;
        const { name } = this.#node!.metadata;
        const patch = { status: { ...status, addresses: this.#addresses(status) } };
        await client.of(NODES).patch('', name, patch, { type: 'strategic', subresource: 'status' });
        this.#status = status;
        [this.#sentText, this.#sentAt] = [text, clock.elapsed()];
      } while (this.#again);
      this.#after('status', STATUS_MS, () => this.#tell());
    } catch (error) {
      logger.warn({ err: error }, 'the node status could not be sent');
      this.#after('status', HEARTBEAT_MS, () => this.#tell());
    } finally {
      this.#sending = false;
    }
  }

  /**
   * For a merge by their types, which can't tell apart two of one type: then the whole list, with what others have added, as
   * kubelet does.
   */
  #addresses({ addresses = [] }: NodeStatus): object[] {
    const types = new Set(addresses.map(({ type }) => type));
    if (types.size === addresses.length) return addresses;
    const others = (this.#node?.status?.addresses ?? []).filter(({ type }) => !types.has(type));
    return [...addresses, ...others, { $patch: 'replace' }];
  }

  async #beat(): Promise<void> {
    const { client, clock, logger } = this.#options;
    const leases = client.of(LEASES);
    const { name, uid = '' } = this.#node!.metadata;
    const renewTime = microTimestamp(clock.now());
    const spec = { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime };
    try {
      if (this.#lease) {
        const { metadata } = this.#lease;
        this.#lease = await leases.update({ ...this.#lease, metadata, spec });
      } else {
        const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }];
        const metadata = { name, namespace: LEASE_NAMESPACE, ownerReferences };
        this.#lease = await leases.create({
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata,
          spec,
        });
      }
      // What the machine has too little of is looked at as often.
      this.changed();
      this.#after('beat', HEARTBEAT_MS, () => this.#beat());
    } catch (error) {
      const known = isReason(error, 'AlreadyExists') || isReason(error, 'Conflict');
      this.#lease = known ? await leases.get(LEASE_NAMESPACE, name).catch(() => undefined) : undefined;
      if (!known && this.#connected) logger.warn({ err: error }, 'the heartbeat failed');
      this.#after('beat', known ? 0 : RETRY_MS, () => this.#beat());
    }
  }

  /** One timer of each name. */
  #after(name: string, ms: number, work: () => Promise<void>): void {
    this.#timers.get(name)?.();
    if (!this.#closed && this.#connected)
      this.#timers.set(
        name,
        this.#options.clock.after(ms, () => void work()),
      );
  }

  #stopTimers(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }
}

const differing = (wanted: Record<string, string> = {}, present: Record<string, string> = {}) =>
  Object.fromEntries(Object.entries(wanted).filter(([key, value]) => present[key] !== value));
