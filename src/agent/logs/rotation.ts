/** Rotates containers' logs by size, as kubelet's containerLogMaxSize and containerLogMaxFiles say. */
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import type { ContainerStatus, Runtime } from '../../runtime/types.js';

const INTERVAL_MS = 10_000;
const DEFAULT_MAX_BYTES = 10 << 20;
const DEFAULT_MAX_FILES = 5;

export interface RotationOptions {
  runtime: Runtime;
  clock: Clock;
  logger: Logger;
  /** A log that is larger is rotated at the next look. */
  maxBytes?: number;
  /** With the one that is written. */
  maxFiles?: number;
}

/** All files of a log, oldest first: `<path>.<time>` for those that were rotated away, then `path` itself. */
export async function logFiles(path: string): Promise<string[]> {
  return [...(await rotatedFiles(path)), path];
}

async function rotatedFiles(path: string): Promise<string[]> {
  const names = await readdir(dirname(path));
  const rotated = names.filter((name) => name.startsWith(`${basename(path)}.`)).sort();
  return rotated.map((name) => join(dirname(path), name));
}

/** Removes all files of a log; '' is that of a run that never was. */
export async function removeLog(path: string): Promise<void> {
  if (path === '') return;
  for (const file of await logFiles(path).catch(() => [])) await rm(file, { force: true });
}

/** Looks at the logs of what runs, again and again, until it is closed. */
export class LogRotation {
  readonly #options: RotationOptions;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(options: RotationOptions) {
    this.#options = options;
    this.#wait();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  /** One look at all logs. */
  async rotate(): Promise<void> {
    const { runtime, logger } = this.#options;
    const running = runtime.sandboxes().flatMap(({ containers }) => containers);
    for (const container of running.filter(({ state, logPath }) => state === 'running' && logPath))
      await this.#rotateLarge(container).catch((err) =>
        logger.warn({ err, log: container.logPath }, 'a log could not be rotated'),
      );
  }

  #wait(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(INTERVAL_MS, () => void this.rotate().then(() => this.#wait()));
  }

  async #rotateLarge({ id, logPath }: ContainerStatus): Promise<void> {
    const { runtime, clock, maxBytes = DEFAULT_MAX_BYTES, maxFiles = DEFAULT_MAX_FILES } = this.#options;
    const size = (await stat(logPath).catch(() => undefined))?.size ?? 0;
    if (size < maxBytes) return;
    const rotated = await rotatedFiles(logPath);
    // Two places are for the one that is rotated now and the one that is written.
    for (const file of rotated.slice(0, Math.max(0, rotated.length - (maxFiles - 2)))) await rm(file);
    const target = `${logPath}.${timeSuffix(clock.now())}`;
    await rename(logPath, target);
    try {
      await runtime.reopenLog(id);
    } catch (error) {
      await rename(target, logPath);
      throw error;
    }
  }
}

/** `20260102-150405.678`: sorts by time. */
const timeSuffix = (ms: number): string =>
  new Date(ms).toISOString().replaceAll(/[-:Z]/g, '').replace('T', '-');
