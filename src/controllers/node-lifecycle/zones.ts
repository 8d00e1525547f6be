/** How fast nodes of a zone may be emptied: when most are unreachable, the fault is likely elsewhere. */
import type { Node } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { isNodeReady } from './taints.js';

const UNHEALTHY_SHARE = 0.55;
const LARGE_ZONE = 50;
const NORMAL_INTERVAL = 10_000;
const LARGE_DISRUPTED_INTERVAL = 100_000;

export type ZoneState = 'normal' | 'partial' | 'full';

/** `full`: no node is ready; `partial`: more than half, and at least three, are not. */
export function zoneState(nodes: Node[]): ZoneState {
  const ready = nodes.filter(isNodeReady).length;
  const unready = nodes.length - ready;
  if (ready === 0 && unready > 0) return 'full';
  return unready > 2 && unready / nodes.length >= UNHEALTHY_SHARE ? 'partial' : 'normal';
}

export function zoneOf({ metadata: { labels = {} } }: Node): string {
  return `${labels['topology.kubernetes.io/region'] ?? ''}/${labels['topology.kubernetes.io/zone'] ?? ''}`;
}

/** Hands out the right to evict from a node, at most one node in an interval for each zone. */
export class EvictionPace {
  readonly #clock: Clock;
  readonly #next = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** 0: now (and the turn is taken); else how many ms to wait; undefined: not while the zones are as they are. */
  wait(node: Node, all: Node[]): number | undefined {
    if (isAllDown(all)) return undefined;
    const zone = zoneOf(node);
    const members = all.filter((other) => zoneOf(other) === zone);
    const interval = intervalOf(zoneState(members), members.length);
    if (interval === undefined) return undefined;
    const now = this.#clock.elapsed();
    const next = this.#next.get(zone) ?? 0;
    if (next > now) return next - now;
    this.#next.set(zone, now + interval);
    return 0;
  }
}

/** Whether no node of any zone is ready: then nothing is evicted at all. */
export function isAllDown(all: Node[]): boolean {
  return all.length > 0 && !all.some(isNodeReady);
}

function intervalOf(state: ZoneState, size: number): number | undefined {
  if (state !== 'partial') return NORMAL_INTERVAL;
  return size > LARGE_ZONE ? LARGE_DISRUPTED_INTERVAL : undefined;
}
