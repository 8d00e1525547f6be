/** What a scheduling plugin is (upstream's scheduling framework, cut to what decides here). */
import type { PodDisruptionBudget } from '#types';
import type { DeviceView } from './devices/view.js';
import type { NodeInfo } from './node-info.js';
import type { Nominations } from './nominations.js';
import type { PodInfo } from './pod-info.js';
import type { StorageView } from './storage/view.js';

/** Why a node does not fit. */
export interface Rejection {
  reasons: string[];
  /** No eviction on the node could change it. */
  unresolvable: boolean;
}

/** The nodes that plugins see. */
export interface CacheView {
  readonly nodes: NodeInfo[];
  node(name: string): NodeInfo | undefined;
  nodesWithImage(image: string): number;
}

/** The same nodes, with `changed` in place of its namesake: for what would be if. */
export function viewWith(cache: CacheView, changed: NodeInfo): CacheView {
  let nodes: NodeInfo[] | undefined;
  return {
    get nodes() {
      nodes ??= cache.nodes.map((node) => (node.name === changed.name ? changed : node));
      return nodes;
    },
    node: (name) => (name === changed.name ? changed : cache.node(name)),
    nodesWithImage: (image) => cache.nodesWithImage(image),
  };
}

/** One attempt to place one pod. */
export interface Cycle {
  readonly pod: PodInfo;
  readonly cache: CacheView;
  /** Who waits for which node. */
  readonly nominations: Nominations;
  readonly storage: StorageView;
  readonly devices: DeviceView;
  namespaceLabels(namespace: string): Record<string, string>;
  /** All PodDisruptionBudgets. */
  budgets(): PodDisruptionBudget[];
}

export type PodEvent = 'pod-added' | 'pod-removed';

export interface FilterPlugin {
  readonly name: string;
  /** Whether its rejections on one node may be lifted by a change of another node. */
  readonly helpedByNodes?: boolean;
  /** Whether its rejections may be lifted by a change of a claim, a volume, a storage class or the like. */
  readonly helpedByStorage?: boolean;
  /** Whether its rejections may be lifted by a change of a ResourceClaim, a DeviceClass or a ResourceSlice. */
  readonly helpedByDevices?: boolean;
  /** Called once a cycle: the names of the only nodes that come into question; undefined when all do. */
  candidates?(cycle: Cycle): ReadonlySet<string> | undefined;
  /** Called once a cycle: why the pod fits nowhere, whatever the node. */
  preFilter?(cycle: Cycle): Rejection | undefined;
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

/** Pods that are to leave a node so that another one fits there. */
export interface Preemption {
  node: NodeInfo;
  victims: PodInfo[];
}

export interface PostFilterResult {
  message: string;
  /** How room is made; null when no way was found, so that a promise made before is off; else undefined. */
  preemption?: Preemption | null;
}

/** Called when no node fits: may make room (preemption). `filter` tells why a pod does not fit on a node. */
export interface PostFilterPlugin {
  readonly name: string;
  postFilter(
    cycle: Cycle,
    rejections: Map<NodeInfo, NodeRejection>,
    filter: (cycle: Cycle, node: NodeInfo) => NodeRejection | undefined,
  ): PostFilterResult;
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
