/** The words of FailedScheduling events (upstream `framework.FitError`). */
import type { Rejection } from './framework.js';

export const NO_NODES = 'no nodes available to schedule pods';

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.` */
export function fitMessage(nodeCount: number, rejections: Iterable<Rejection>): string {
  const counts = new Map<string, number>();
  for (const { reasons } of rejections)
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${nodeCount} nodes are available: ${parts.join(', ')}.`;
}

/** The longest note of an event. */
const MAX_NOTE = 1024;

export function shortened(message: string): string {
  const end = ' ...';
  return message.length <= MAX_NOTE ? message : message.slice(0, MAX_NOTE - end.length) + end;
}
