/** Ends the pods in the order of their priorities when the machine shuts down, while the shutdown waits (KEP-2000). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import type { Clock } from '../../../api/machinery/clock.js';
import { sleep } from '../../../client/retry.js';
import type { PodFailure } from '../../pods/pod-end.js';
import type { PodWorker } from '../../pods/worker.js';
import { type ShutdownPeriod, shutdownGroups } from './groups.js';
import { ShutdownLock, watchShutdowns } from './logind.js';

export const SHUTTING_DOWN = 'node is shutting down';
const TERMINATED: PodFailure = {
  disrupts: true,
  reason: 'Terminated',
  message: 'Pod was terminated in response to imminent node shutdown.',
};

export interface ShutdownOptions {
  periods: ShutdownPeriod[];
  clock: Clock;
  logger: Logger;
  pods(): PodWorker[];
  /** A shutdown has begun, or was called off. */
  changed(): void;
  /** A normal event about the node. */
  event(reason: string, message: string): void;
}

export class ShutdownManager {
  /** Of the shutdown that has begun: resolves when the pods have ended. */
  #ending: Promise<void> | undefined;
  readonly #options: ShutdownOptions;
  readonly #lock: ShutdownLock;
  readonly #stopWatching: () => void;
  /** Of machines whose init has no logind. */
  readonly #onPower = () => void this.#begin();

  constructor(options: ShutdownOptions) {
    this.#options = options;
    const { periods, logger } = options;
    this.#lock = new ShutdownLock(logger);
    if (periods.length === 0) {
      this.#stopWatching = () => {};
      return;
    }
    this.#lock.take();
    this.#stopWatching = watchShutdowns(logger, (isBegun) =>
      isBegun ? void this.#begin() : this.#calledOff(),
    );
    process.on('SIGPWR', this.#onPower);
  }

  /** The agent is told to end: if that is since the machine shuts down, the pods end before. */
  async agentEnds(): Promise<void> {
    if (this.#options.periods.length > 0 && (this.isShuttingDown || (await isMachineStopping())))
      await this.#begin();
  }

  get isShuttingDown(): boolean {
    return this.#ending !== undefined;
  }

  close(): void {
    this.#stopWatching();
    process.off('SIGPWR', this.#onPower);
    this.#lock.release();
  }

  #begin(): Promise<void> {
    this.#ending ??= this.#endAll();
    return this.#ending;
  }

  async #endAll(): Promise<void> {
    const { event, changed, logger, periods, pods } = this.#options;
    // What is told now finds it shutting down.
    await Promise.resolve();
    logger.warn('the machine shuts down');
    event('NodeShutdown', 'Shutdown manager detected shutdown event');
    changed();
    const active = pods().filter((worker) => worker.isActive);
    for (const group of shutdownGroups(periods, active)) await this.#end(group.pods, group.period.seconds);
    this.#lock.release();
  }

  /** Resolves when all have ended, or their time is over. */
  async #end(pods: PodWorker[], seconds: number): Promise<void> {
    for (const worker of pods) {
      const { terminationGracePeriodSeconds: own = seconds } = worker.pod.spec;
      worker.fail(TERMINATED, Math.min(own, seconds));
    }
    const waiting = new AbortController();
    await Promise.race([
      Promise.all(pods.map((worker) => worker.finished)),
      sleep(this.#options.clock, seconds * 1000, waiting.signal),
    ]);
    waiting.abort();
  }

  #calledOff(): void {
    if (!this.isShuttingDown) return;
    this.#ending = undefined;
    this.#options.event('NodeShutdown', 'Shutdown manager detected shutdown cancellation');
    this.#lock.take();
    this.#options.changed();
  }
}

async function isMachineStopping(): Promise<boolean> {
  // It says so with an exit code of its own.
  const answer = await promisify(execFile)('systemctl', ['is-system-running'], { timeout: 1000 }).catch(
    (error: { stdout?: string }) => error,
  );
  return answer.stdout?.trim() === 'stopping';
}
