/** What a scheduling plugin is (upstream's scheduling framework, cut to what decides here). */
import type { Cache } from './cache.js';
import type { NodeInfo } from './node-info.js';
import type { PodInfo } from './pod-info.js';

/** Why a node does not fit. */
export interface Rejection {
  reasons: string[];
  /** No eviction on the node could change it. */
  unresolvable: boolean;
}

/** One attempt to place one pod. */
export interface Cycle {
  readonly pod: PodInfo;
  readonly cache: Cache;
  namespaceLabels(namespace: string): Record<string, string>;
}

export type PodEvent = 'pod-added' | 'pod-removed';

export interface FilterPlugin {
  readonly name: string;
  /** Whether its rejections on one node may be lifted by a change of another node. */
  readonly helpedByNodes?: boolean;
  /**
   * Whether a pod that came to, or left, another node may lift this plugin's rejection of `waiting`. Absent: never.
   * The node itself is filtered again in any case.
   */
  helps?(event: PodEvent, waiting: PodInfo, changed: PodInfo, cycle: Cycle): boolean;
  /** Called once a cycle: returns the check of a node, or undefined when every node passes. */
  filter(cycle: Cycle): ((node: NodeInfo) => Rejection | undefined) | undefined;
}

export interface ScorePlugin {
  readonly name: string;
  readonly weight: number;
  /** Called once a cycle: returns the score of each of `nodes`, 0 to 100, or undefined to abstain. */
  score(cycle: Cycle, nodes: NodeInfo[]): number[] | undefined;
}

/** What happened to a pod that fits nowhere: per node, which plugin said no and why. */
export interface NodeRejection extends Rejection {
  plugin: string;
}

/** Called when no node fits: may make room (preemption). */
export interface PostFilterPlugin {
  readonly name: string;
  postFilter(cycle: Cycle, rejections: Map<NodeInfo, NodeRejection>): { message: string };
}

export const MAX_SCORE = 100;

/** Scales scores so that the highest is 100; `reverse` for scores of which less is better. */
export function normalize(scores: number[], reverse = false): number[] {
  const max = Math.max(0, ...scores);
  if (max === 0) return scores.map(() => (reverse ? MAX_SCORE : 0));
  return scores.map((score) => {
    const scaled = Math.floor((MAX_SCORE * score) / max);
    return reverse ? MAX_SCORE - scaled : scaled;
  });
}
