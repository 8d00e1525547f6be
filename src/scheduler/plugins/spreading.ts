/** PodTopologySpread with the system's defaults: pods of one controller go to different nodes and zones. */
import { MAX_SCORE, type ScorePlugin } from '../framework.js';
import type { NodeInfo } from '../node-info.js';

const ZONE = 'topology.kubernetes.io/zone';
const HOST_SKEW = 3;
const ZONE_SKEW = 5;

export const podTopologySpread: ScorePlugin = {
  name: 'PodTopologySpread',
  weight: 2,
  score({ pod, cache }, nodes) {
    if (pod.owner === '' || nodes.length < 2) return undefined;
    const zones = new Map<string, number>();
    for (const node of cache.nodes) {
      const zone = zoneOf(node);
      if (zone !== undefined) zones.set(zone, (zones.get(zone) ?? 0) + node.ownedBy(pod.owner));
    }
    const hostWeight = Math.log(nodes.length + 2);
    const zoneWeight = Math.log(zones.size + 2);
    const scores = nodes.map((node) => {
      const zone = zoneOf(node);
      const inZone = zone === undefined ? 0 : (zones.get(zone) ?? 0) * zoneWeight + ZONE_SKEW - 1;
      return Math.round(node.ownedBy(pod.owner) * hostWeight + HOST_SKEW - 1 + inZone);
    });
    return lessIsBetter(scores);
  },
};

function zoneOf({ node }: NodeInfo): string | undefined {
  return node?.metadata.labels?.[ZONE];
}

function lessIsBetter(scores: number[]): number[] {
  const max = Math.max(...scores);
  const min = Math.min(...scores);
  if (max === 0) return scores.map(() => MAX_SCORE);
  return scores.map((score) => Math.floor((MAX_SCORE * (max + min - score)) / max));
}
