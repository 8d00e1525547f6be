/** What /debug/api_priority_and_fairness tells, as tables of text. */
import type { FlowControl } from './flow-control.js';

const row = (cells: unknown[]): string => cells.join(', ');

/** By path. */
export function flowDumps(flow: FlowControl): Record<string, () => string> {
  const levels = () =>
    [...flow.levels].map((level) =>
      row([
        level.name,
        level.queueLengths.length,
        level.used === 0 && level.waiting === 0,
        false,
        level.waiting,
        level.used,
      ]),
    );
  const queues = () =>
    [...flow.levels].flatMap((level) =>
      level.queueLengths.map((length, i) => row([level.name, i, length, level.used])),
    );
  const at = '/debug/api_priority_and_fairness';
  return {
    [`${at}/dump_priority_levels`]: () =>
      table(
        [
          'PriorityLevelName',
          'ActiveQueues',
          'IsIdle',
          'IsQuiescing',
          'WaitingRequests',
          'ExecutingRequests',
        ],
        levels(),
      ),
    [`${at}/dump_queues`]: () =>
      table(['PriorityLevelName', 'Index', 'PendingRequests', 'ExecutingRequests'], queues()),
  };
}

const table = (head: string[], rows: string[]): string => `${[row(head), ...rows].join('\n')}\n`;
