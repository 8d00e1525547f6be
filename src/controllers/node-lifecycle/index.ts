/** Node lifecycle: notices silent nodes, taints unready ones, and evicts pods that do not tolerate it. */
import type { Controller, ControllersOptions } from '../context.js';
import { startTaintEviction } from './eviction.js';
import { startNodeHealth } from './health.js';

export function startNodeLifecycle(options: ControllersOptions): Controller {
  const parts = [startNodeHealth(options), startTaintEviction(options)];
  return {
    async close() {
      await Promise.all(parts.map((part) => part.close()));
    },
  };
}
