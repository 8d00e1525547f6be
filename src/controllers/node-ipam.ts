/** Gives each node its range of pod addresses (upstream `nodeipam`, the range allocator). */
import type { Node } from '#types';
import { type AddressRange, familyOf, parsePrefix } from '../api/machinery/prefix.js';
import { isReason } from '../api/machinery/status.js';
import { nodes } from '../api/resources/index.js';
import type { Informer } from '../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';

/** Prefix lengths of a node's ranges, as upstream's. */
const maskOf = (cidr: string, ipv4 = 24): number => (familyOf(cidr) === 'IPv4' ? ipv4 : 64);
/** More nodes than that no cluster has. */
const MAX_BITS = 16;

export function startNodeIpam(options: ControllersOptions): Controller {
  return new NodeIpam(contextOf(options, 'node-controller', 'cidrAllocator')).loop;
}

/** Cuts a range such as `10.244.0.0/16` into equal ranges. Throws on what is no such range. */
export class CidrSet {
  readonly #range: AddressRange;
  readonly #mask: number;
  readonly #size: number;
  readonly #used = new Map<string, string>();
  #next = 0;

  constructor(cidr: string, nodeMaskSize: number) {
    this.#range = parsePrefix(cidr);
    const bits = nodeMaskSize - this.#range.length;
    if (bits < 0 || bits > MAX_BITS)
      throw new Error(`cluster CIDR ${cidr} has no room for node ranges of /${nodeMaskSize}`);
    this.#mask = nodeMaskSize;
    this.#size = 2 ** bits;
  }

  /** Notes that `owner` has `cidr`. */
  occupy(cidr: string, owner: string): void {
    this.#used.set(cidr, owner);
  }

  /** Frees a range, if it is still the owner's. */
  release(cidr: string, owner: string): void {
    if (this.#used.get(cidr) === owner) this.#used.delete(cidr);
  }

  /** The next free range, after the one given out last; undefined when there is none. */
  allocate(owner: string): string | undefined {
    for (let i = 0; i < this.#size; i++) {
      const at = (this.#next + i) % this.#size;
      const cidr = this.#range.part(at, this.#mask);
      if (this.#used.has(cidr)) continue;
      this.#next = at + 1;
      this.#used.set(cidr, owner);
      return cidr;
    }
    return undefined;
  }
}

class NodeIpam {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #nodes: Informer<Node>;
  /** Of each IP family of the cluster. */
  readonly #sets: CidrSet[];

  constructor(context: Context) {
    this.#context = context;
    this.#sets = context.clusterCidr
      .split(',')
      .map((cidr) => new CidrSet(cidr, maskOf(cidr, context.nodeCidrMaskSize)));
    this.#nodes = context.informers.of(nodes);
    // One worker, and only after all ranges in use are known: what it allocates is free.
    this.loop = new WorkLoop(context, [this.#nodes.synced], (key) => this.#reconcile(key), 1);
    const changed = (node: Node) => {
      const cidrs = rangesOf(node);
      for (const cidr of cidrs) for (const set of this.#sets) set.occupy(cidr, node.metadata.name);
      if (cidrs.length === 0) this.loop.queue.add(node.metadata.name);
    };
    this.loop.onClose(
      this.#nodes.on({
        added: changed,
        updated: (_, node) => changed(node),
        deleted: (node) => {
          this.#release(rangesOf(node), node.metadata.name);
          for (const waiting of this.#nodes.list())
            if (rangesOf(waiting).length === 0) this.loop.queue.add(waiting.metadata.name);
        },
      }),
    );
  }

  async #reconcile(name: string): Promise<void> {
    const node = this.#nodes.get(name);
    if (node === undefined || rangesOf(node).length > 0) return;
    const cidrs = this.#sets.flatMap((set) => set.allocate(name) ?? []);
    if (cidrs.length < this.#sets.length) {
      this.#release(cidrs, name);
      this.#context.events.event(
        node,
        'Normal',
        'CIDRNotAvailable',
        `Node ${name} status is now: CIDRNotAvailable`,
      );
      return;
    }
    const { uid } = node.metadata;
    const patch = { metadata: { uid }, spec: { podCIDR: cidrs[0], podCIDRs: cidrs } };
    try {
      const patched = await this.#context.client.of(nodes).patch('', name, patch, { type: 'merge' });
      if (patched.spec.podCIDR !== cidrs[0]) this.#release(cidrs, name);
    } catch (error) {
      this.#release(cidrs, name);
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict') && !isReason(error, 'Invalid'))
        throw error;
    }
  }

  #release(cidrs: string[], name: string): void {
    for (const cidr of cidrs) for (const set of this.#sets) set.release(cidr, name);
  }
}

function rangesOf(node: Node): string[] {
  return node.spec?.podCIDRs ?? (node.spec?.podCIDR ? [node.spec.podCIDR] : []);
}
