/** Workers that take keys from a queue and reconcile them, again with backoff when that fails. */
import type { Logger } from 'pino';
import { isReason } from '../api/machinery/status.js';
import type { WorkQueue } from './queue.js';

export interface WorkerOptions {
  logger?: Logger;
  /** Ends the workers: no more keys are taken, and the running reconciles are told. */
  signal: AbortSignal;
}

/**
 * Runs `count` workers until `signal` aborts; resolves once all have ended. A key whose reconcile rejects
 * comes again after its backoff; one that succeeds is forgotten.
 */
export async function runWorkers(
  queue: WorkQueue,
  count: number,
  reconcile: (key: string, signal: AbortSignal) => Promise<void>,
  { logger, signal }: WorkerOptions,
): Promise<void> {
  const close = () => queue.close();
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });

  const work = async () => {
    for (;;) {
      const key = await queue.next();
      if (key === undefined || signal.aborted) return;
      try {
        await reconcile(key, signal);
        queue.forget(key);
      } catch (error) {
        if (!signal.aborted) {
          const level = isReason(error, 'Conflict') ? 'debug' : 'warn';
          logger?.[level](
            { key, err: error, retries: queue.requeues(key) },
            'reconcile failed; it is tried again',
          );
          queue.addRateLimited(key);
        }
      } finally {
        queue.done(key);
      }
    }
  };
  await Promise.all(Array.from({ length: count }, work));
  signal.removeEventListener('abort', close);
}
