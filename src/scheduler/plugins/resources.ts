/** NodeResourcesFit (filter, LeastAllocated score) and NodeResourcesBalancedAllocation. */
import { type FilterPlugin, MAX_SCORE, type ScorePlugin } from '../framework.js';
import type { NodeInfo } from '../node-info.js';

/** In upstream's order; other resources follow. */
const FIRST = ['cpu', 'memory', 'ephemeral-storage'];

export const nodeResourcesFit: FilterPlugin & ScorePlugin = {
  name: 'NodeResourcesFit',
  weight: 1,
  filter({ pod }) {
    const wanted = Object.entries(pod.requests)
      .filter(([, amount]) => amount > 0)
      .sort(([a], [b]) => order(a) - order(b) || a.localeCompare(b));
    return (node) => {
      const reasons: string[] = [];
      let unresolvable = false;
      if (node.pods.size + 1 > (node.allocatable['pods'] ?? 0)) reasons.push('Too many pods');
      for (const [name, amount] of wanted) {
        const capacity = node.allocatable[name] ?? 0;
        if (amount <= capacity - (node.requested[name] ?? 0)) continue;
        reasons.push(`Insufficient ${name}`);
        unresolvable ||= amount > capacity;
      }
      return reasons.length > 0 ? { reasons, unresolvable } : undefined;
    };
  },
  /** The more is left free, the better. */
  score({ pod }, nodes) {
    return nodes.map((node) => {
      const cpu = leastAllocated(node.scored.cpu + pod.scored.cpu, node.allocatable['cpu'] ?? 0);
      const memory = leastAllocated(node.scored.memory + pod.scored.memory, node.allocatable['memory'] ?? 0);
      const scores = [cpu, memory].filter((score) => score !== undefined);
      if (scores.length === 0) return 0;
      return Math.floor(scores.reduce((sum, score) => sum + score, 0) / scores.length);
    });
  },
};

function order(name: string): number {
  const at = FIRST.indexOf(name);
  return at < 0 ? FIRST.length : at;
}

function leastAllocated(requested: number, capacity: number): number | undefined {
  if (capacity === 0) return undefined;
  return requested > capacity ? 0 : Math.floor(((capacity - requested) * MAX_SCORE) / capacity);
}

/** Prefers nodes of which CPU and memory are used to the same degree. */
export const balancedAllocation: ScorePlugin = {
  name: 'NodeResourcesBalancedAllocation',
  weight: 1,
  score({ pod }, nodes) {
    const { cpu = 0, memory = 0 } = pod.requests;
    if (cpu === 0 && memory === 0) return undefined;
    return nodes.map((node) => {
      const difference = Math.abs(fraction(node, 'cpu', cpu) - fraction(node, 'memory', memory));
      return Math.floor((1 - difference / 2) * MAX_SCORE);
    });
  },
};

function fraction(node: NodeInfo, name: string, amount: number): number {
  const capacity = node.allocatable[name] ?? 0;
  return capacity === 0 ? 1 : Math.min(1, ((node.requested[name] ?? 0) + amount) / capacity);
}
