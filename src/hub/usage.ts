/** CPU and memory in use, asked of the agents when somebody wants to know: nothing is measured while nobody looks. */
import type { Clock } from '../api/machinery/clock.js';
import type { ContainerSample, NodeStats, Sample } from '../rpc/stats.js';

export interface Usage {
  /** Billionths of a CPU. */
  cpuNanoCores: number;
  memoryBytes: number;
}

export interface PodUsage {
  uid: string;
  namespace: string;
  name: string;
  windowMs: number;
  containers: (Usage & { name: string })[];
}

export interface NodeUsage {
  /** The end of the time over which CPU use is averaged, in ms. */
  time: number;
  windowMs: number;
  node: Usage;
  /** Pods all of whose running containers have run long enough. */
  pods: PodUsage[];
}

export interface ResourceMetrics {
  /** Undefined when the node can't be asked. Never rejects. */
  usageOf(node: string): Promise<NodeUsage | undefined>;
}

export interface UsageOptions {
  /** The counters of a node as they are now. */
  stats(node: string, signal: AbortSignal): Promise<NodeStats>;
  clock: Clock;
}

/** Answers this young are given again. */
const FRESH_MS = 5000;
/** Rates over less than this say little. */
const MIN_WINDOW_MS = 1000;
/** Counters older than this are no base for the rate of now. */
const MAX_WINDOW_MS = 60_000;
const TIMEOUT_MS = 10_000;

interface Known {
  last?: NodeStats;
  usage?: NodeUsage;
  /** By the hub's clock. */
  at: number;
  pending?: Promise<NodeUsage | undefined>;
}

export class UsageSampler implements ResourceMetrics {
  readonly #options: UsageOptions;
  readonly #nodes = new Map<string, Known>();

  constructor(options: UsageOptions) {
    this.#options = options;
  }

  usageOf(node: string): Promise<NodeUsage | undefined> {
    let known = this.#nodes.get(node);
    if (!known) {
      known = { at: 0 };
      this.#nodes.set(node, known);
    }
    const { clock } = this.#options;
    if (known.usage && clock.now() - known.at < FRESH_MS) return Promise.resolve(known.usage);
    known.pending ??= this.#measure(node, known).finally(() => {
      delete known.pending;
    });
    return known.pending;
  }

  /** Two looks at the counters; the first may be the one before. */
  async #measure(node: string, known: Known): Promise<NodeUsage | undefined> {
    const { clock } = this.#options;
    const age = clock.now() - known.at;
    try {
      let base = known.last;
      if (!base || age < MIN_WINDOW_MS || age > MAX_WINDOW_MS) {
        base = await this.#stats(node);
        await new Promise<void>((resolve) => clock.after(MIN_WINDOW_MS, resolve));
      }
      known.last = await this.#stats(node);
      known.at = clock.now();
      known.usage = usageBetween(base, known.last);
      return known.usage;
    } catch {
      this.#nodes.delete(node);
      return undefined;
    }
  }

  async #stats(node: string): Promise<NodeStats> {
    const abort = new AbortController();
    const cancel = this.#options.clock.after(TIMEOUT_MS, () => abort.abort(new Error('no answer in time')));
    try {
      return await this.#options.stats(node, abort.signal);
    } finally {
      cancel();
    }
  }
}

/** Rates from two looks at the same node. */
export function usageBetween(before: NodeStats, after: NodeStats): NodeUsage {
  const runs = new Map(before.pods.flatMap((pod) => pod.containers.map((c) => [c.id, c] as const)));
  const pods: PodUsage[] = [];
  for (const { uid, namespace, name, containers } of after.pods) {
    const bases = containers.map((c) => runs.get(c.id) ?? start(c));
    const windowMs = Math.min(...containers.map((c, i) => c.time - bases[i]!.time));
    if (windowMs < MIN_WINDOW_MS / 2) continue;
    const usages = containers.map((c, i) => ({ name: c.name, ...rate(bases[i]!, c) }));
    pods.push({ uid, namespace, name, windowMs, containers: usages });
  }
  return {
    time: after.node.time,
    windowMs: Math.max(1, after.node.time - before.node.time),
    node: rate(before.node, after.node),
    pods,
  };
}

/** Who has come since the first look began with nothing used. */
const start = ({ startedAt }: ContainerSample): Sample => ({
  time: startedAt,
  cpuNanos: 0,
  workingSetBytes: 0,
});

function rate(before: Sample, after: Sample): Usage {
  const ms = Math.max(1, after.time - before.time);
  const nanos = Math.max(0, after.cpuNanos - before.cpuNanos);
  return { cpuNanoCores: Math.round((nanos * 1000) / ms), memoryBytes: after.workingSetBytes };
}
