/** Gives each node its range of pod addresses (upstream `nodeipam`, the range allocator). */
import type { Node } from '#types';
import { isReason } from '../api/machinery/status.js';
import { nodes } from '../api/resources/index.js';
import type { Informer } from '../client/index.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';

export function startNodeIpam(options: ControllersOptions): Controller {
  return new NodeIpam(contextOf(options, 'node-controller', 'cidrAllocator')).loop;
}

/** Cuts an IPv4 range such as `10.244.0.0/16` into equal ranges. Throws on what is no such range. */
export class CidrSet {
  readonly #base: number;
  readonly #nodeBits: number;
  readonly #size: number;
  readonly #used = new Map<string, string>();
  #next = 0;

  constructor(cidr: string, nodeMaskSize: number) {
    const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr);
    if (match === null) throw new Error(`cluster CIDR ${cidr} is not an IPv4 range`);
    const [a, b, c, d, mask] = match.slice(1).map(Number) as [number, number, number, number, number];
    if (mask > nodeMaskSize || nodeMaskSize > 32)
      throw new Error(`cluster CIDR ${cidr} has no room for node ranges of /${nodeMaskSize}`);
    const address = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    this.#base = mask === 0 ? 0 : (address & (~0 << (32 - mask))) >>> 0;
    this.#nodeBits = 32 - nodeMaskSize;
    this.#size = 2 ** (nodeMaskSize - mask);
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
      const cidr = this.#cidr(at);
      if (this.#used.has(cidr)) continue;
      this.#next = at + 1;
      this.#used.set(cidr, owner);
      return cidr;
    }
    return undefined;
  }

  #cidr(at: number): string {
    const n = this.#base + at * 2 ** this.#nodeBits;
    const bytes = [n / 2 ** 24, (n / 2 ** 16) % 256, (n / 256) % 256, n % 256].map(Math.floor);
    return `${bytes.join('.')}/${32 - this.#nodeBits}`;
  }
}

class NodeIpam {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #nodes: Informer<Node>;
  readonly #ranges: CidrSet;

  constructor(context: Context) {
    this.#context = context;
    this.#ranges = new CidrSet(context.clusterCidr, context.nodeCidrMaskSize ?? 24);
    this.#nodes = context.informers.of(nodes);
    // One worker, and only after all ranges in use are known: what it allocates is free.
    this.loop = new WorkLoop(context, [this.#nodes.synced], (key) => this.#reconcile(key), 1);
    const changed = (node: Node) => {
      const cidrs = rangesOf(node);
      for (const cidr of cidrs) this.#ranges.occupy(cidr, node.metadata.name);
      if (cidrs.length === 0) this.loop.queue.add(node.metadata.name);
    };
    this.loop.onClose(
      this.#nodes.on({
        added: changed,
        updated: (_, node) => changed(node),
        deleted: (node) => {
          for (const cidr of rangesOf(node)) this.#ranges.release(cidr, node.metadata.name);
          for (const waiting of this.#nodes.list())
            if (rangesOf(waiting).length === 0) this.loop.queue.add(waiting.metadata.name);
        },
      }),
    );
  }

  async #reconcile(name: string): Promise<void> {
    const node = this.#nodes.get(name);
    if (node === undefined || rangesOf(node).length > 0) return;
    const cidr = this.#ranges.allocate(name);
    if (cidr === undefined) {
      this.#context.events.event(
        node,
        'Normal',
        'CIDRNotAvailable',
        `Node ${name} status is now: CIDRNotAvailable`,
      );
      return;
    }
    const { uid } = node.metadata;
    const patch = { metadata: { uid }, spec: { podCIDR: cidr, podCIDRs: [cidr] } };
    try {
      const patched = await this.#context.client.of(nodes).patch('', name, patch, { type: 'merge' });
      if (patched.spec.podCIDR !== cidr) this.#ranges.release(cidr, name);
    } catch (error) {
      this.#ranges.release(cidr, name);
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict') && !isReason(error, 'Invalid'))
        throw error;
    }
  }
}

function rangesOf(node: Node): string[] {
  return node.spec?.podCIDRs ?? (node.spec?.podCIDR ? [node.spec.podCIDR] : []);
}
