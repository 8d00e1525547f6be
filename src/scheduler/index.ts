/** The scheduler: finds a node for each pod that has none. */
import { Scheduler, type SchedulerOptions } from './scheduler.js';

export type { SchedulerOptions } from './scheduler.js';

/**
 * Starts the scheduler. It asks `options.informers` for pods and nodes, so the caller starts the informers
 * afterwards.
 */
export function startScheduler(options: SchedulerOptions): { close(): Promise<void> } {
  const scheduler = new Scheduler(options);
  return { close: () => scheduler.close() };
}
