/** Finds the best node for a pod: filters, then scores (upstream `schedulePod`). Pure: it reads the cache only. */
import { type Cycle, type NodeRejection, type Preemption, viewWith } from './framework.js';
import { fitMessage, NO_NODES } from './messages.js';
import type { NodeInfo } from './node-info.js';
import { filterPlugins, postFilterPlugins, scorePlugins } from './plugins/index.js';

/** In clusters up to this size every node is looked at. */
const MIN_FEASIBLE = 100;
const MIN_PERCENTAGE = 5;

export interface Placement {
  /** Undefined when the pod fits nowhere: then `message` says why. */
  node: NodeInfo | undefined;
  message: string;
  rejectedBy: ReadonlySet<string>;
  /** How room could be made; null when a promise made before is off. */
  preemption?: Preemption | null;
  /** Where the next search starts, so that all nodes get a turn. */
  next: number;
}

type Check = (node: NodeInfo) => NodeRejection | undefined;

/** Places one pod. `start` is the `next` of the search before. */
export function findNode(cycle: Cycle, start: number, random: () => number): Placement {
  const { nodes } = cycle.cache;
  if (nodes.length === 0) return { node: undefined, message: NO_NODES, rejectedBy: new Set(), next: 0 };
  const refusal = preFilter(cycle);
  if (refusal !== undefined) {
    const rejections = new Map(nodes.map((node) => [node, refusal]));
    const message = `0/${nodes.length} nodes are available: ${refusal.reasons.join(', ')}.`;
    return { ...unfit(cycle, rejections, message), next: start };
  }
  const check = checkOf(cycle);
  const promised = cycle.cache.node(cycle.nominations.nodeOf(cycle.pod.uid) ?? '');
  if (promised?.node !== undefined && check(promised) === undefined)
    return { node: promised, message: '', rejectedBy: new Set(), next: start };
  const named = namedOf(cycle);
  if (named) return { ...amongNamed(cycle, named, check, random), next: start };
  const enough = feasibleEnough(nodes.length);
  const feasible: NodeInfo[] = [];
  const rejections = new Map<NodeInfo, NodeRejection>();
  let looked = 0;
  for (; looked < nodes.length && feasible.length < enough; looked++) {
    const node = nodes[(start + looked) % nodes.length]!;
    const rejection = check(node);
    if (rejection === undefined) feasible.push(node);
    else rejections.set(node, rejection);
  }
  const next = (start + looked) % nodes.length;
  if (feasible.length === 0) return { ...unfit(cycle, rejections), next };
  return { node: best(cycle, feasible, random), message: '', rejectedBy: new Set(), next };
}

interface Named {
  /** Of the plugin that names them. */
  plugin: string;
  names: ReadonlySet<string>;
}

/** The only nodes that come into question, if a plugin knows them. */
function namedOf(cycle: Cycle): Named | undefined {
  for (const { name, candidates } of filterPlugins) {
    const names = candidates?.(cycle);
    if (names) return { plugin: name, names };
  }
  return undefined;
}

/** Looks at these nodes alone. */
function amongNamed(
  cycle: Cycle,
  { plugin, names }: Named,
  check: Check,
  random: () => number,
): Omit<Placement, 'next'> {
  const feasible: NodeInfo[] = [];
  const rejections = new Map<NodeInfo, NodeRejection>();
  for (const name of names) {
    const node = cycle.cache.node(name);
    if (!node?.node) continue;
    const rejection = check(node);
    if (rejection === undefined) feasible.push(node);
    else rejections.set(node, rejection);
  }
  if (feasible.length > 0) return { node: best(cycle, feasible, random), message: '', rejectedBy: new Set() };
  const other = { plugin, reasons: [`node(s) didn't satisfy plugin(s) [${plugin}]`], unresolvable: true };
  for (const node of cycle.cache.nodes) if (!rejections.has(node)) rejections.set(node, other);
  return unfit(cycle, rejections);
}

/** Why the pod fits nowhere, whatever the node. */
function preFilter(cycle: Cycle): NodeRejection | undefined {
  for (const plugin of filterPlugins) {
    const rejection = plugin.preFilter?.(cycle);
    if (rejection !== undefined) return { ...rejection, plugin: plugin.name };
  }
  return undefined;
}

/** Why one node does not fit; undefined when it does. */
export function filterNode(cycle: Cycle, node: NodeInfo): NodeRejection | undefined {
  return preFilter(cycle) ?? checkOf(cycle)(node);
}

/**
 * A pod must fit beside those of no lower priority that wait for the node, and without them too: they may go
 * elsewhere, and what the pod needs must not depend on them.
 */
function checkOf(cycle: Cycle): Check {
  const check = plainCheckOf(cycle);
  return (node) => {
    const guests = cycle.nominations
      .on(node.name)
      .filter(({ uid, priority }) => uid !== cycle.pod.uid && priority >= cycle.pod.priority);
    if (guests.length > 0) {
      const fuller = node.clone();
      for (const guest of guests) fuller.add(guest);
      const rejection = plainCheckOf({ ...cycle, cache: viewWith(cycle.cache, fuller) })(fuller);
      if (rejection !== undefined) return rejection;
    }
    return check(node);
  };
}

function plainCheckOf(cycle: Cycle): Check {
  const checks: { plugin: string; check: NonNullable<ReturnType<(typeof filterPlugins)[0]['filter']>> }[] =
    [];
  for (const plugin of filterPlugins) {
    const check = plugin.filter(cycle);
    if (check !== undefined) checks.push({ plugin: plugin.name, check });
  }
  return (node) => {
    for (const { plugin, check } of checks) {
      const rejection = check(node);
      if (rejection !== undefined) return { ...rejection, plugin };
    }
    return undefined;
  };
}

function unfit(
  cycle: Cycle,
  rejections: Map<NodeInfo, NodeRejection>,
  fit = fitMessage(rejections.size, rejections.values()),
): Omit<Placement, 'next'> {
  const rejectedBy = new Set([...rejections.values()].map(({ plugin }) => plugin));
  const messages: string[] = [];
  let off: null | undefined;
  for (const plugin of postFilterPlugins) {
    const { message, preemption } = plugin.postFilter(cycle, rejections, filterNode);
    if (preemption) return { node: undefined, message: fit, rejectedBy, preemption };
    if (preemption === null) off = null;
    messages.push(message);
  }
  const message = `${fit} ${messages.join(', ')}`;
  return { node: undefined, message, rejectedBy, ...(off === null ? { preemption: null } : {}) };
}

/** How many feasible nodes suffice: all of a small cluster, a share of a large one. */
export function feasibleEnough(nodeCount: number): number {
  if (nodeCount < MIN_FEASIBLE) return nodeCount;
  const percentage = Math.max(MIN_PERCENTAGE, 50 - Math.floor(nodeCount / 125));
  return Math.max(MIN_FEASIBLE, Math.floor((nodeCount * percentage) / 100));
}

function best(cycle: Cycle, feasible: NodeInfo[], random: () => number): NodeInfo {
  if (feasible.length === 1) return feasible[0]!;
  const totals = new Array<number>(feasible.length).fill(0);
  for (const plugin of scorePlugins)
    plugin.score(cycle, feasible)?.forEach((score, i) => {
      totals[i]! += score * plugin.weight;
    });
  const highest = Math.max(...totals);
  const winners = feasible.filter((_, i) => totals[i] === highest);
  return winners[Math.floor(random() * winners.length)]!;
}
