/** Audit events as lines of JSON in a file that is rotated, written behind the requests' backs. */
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import type { Sink } from './sink.js';

export interface LogFileOptions {
  /** `-`: standard output. */
  path: string;
  /** Megabytes from which on a new file is begun; 100 when absent or 0. */
  maxSize?: number | undefined;
  /** How many old files are kept; all when absent or 0. */
  maxBackups?: number | undefined;
  /** Days that old files are kept; for ever when absent or 0. */
  maxAge?: number | undefined;
  clock: Clock;
  logger: Logger;
}

const MB = 1024 * 1024;
const DAY_MS = 86_400_000;
/** More than this is not kept in memory where the disk can't follow. */
const MAX_WAITING_BYTES = 64 * MB;
/** A disk that is full is complained of so often. */
const COMPLAIN_MS = 60_000;

export class LogFile implements Sink {
  readonly name = 'log';
  readonly #options: LogFileOptions;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #size = 0;
  #complained = 0;
  lost = 0;

  private constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** Rejects if the file can't be opened. */
  static async open(options: LogFileOptions): Promise<LogFile> {
    const log = new LogFile(options);
    if (options.path !== '-') await log.#open();
    return log;
  }

  write(_event: object, line: string): void {
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.lost++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close().catch(() => undefined);
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        await this.#append(Buffer.from(`${lines.join('\n')}\n`));
      } catch (error) {
        this.lost += lines.length;
        this.#complain(error);
      }
    }
  }

  async #append(bytes: Buffer): Promise<void> {
    const { path, maxSize } = this.#options;
    if (path === '-') {
      process.stdout.write(bytes);
      return;
    }
    const limit = (maxSize || 100) * MB;
    if (this.#size > 0 && this.#size + bytes.length > limit) await this.#rotate();
    if (!this.#file) await this.#open();
    await this.#file!.appendFile(bytes);
    this.#size += bytes.length;
  }

  async #open(): Promise<void> {
    const { path } = this.#options;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    this.#file = await open(path, 'a', 0o600);
    this.#size = (await this.#file.stat()).size;
  }

  /** `audit.log` becomes `audit-<time>.log`. */
  async #rotate(): Promise<void> {
    const { path, clock } = this.#options;
    await this.#file?.close();
    this.#file = undefined;
    const time = new Date(clock.now()).toISOString().slice(0, -1).replaceAll(':', '-');
    const ending = extname(path);
    await rename(path, `${path.slice(0, path.length - ending.length)}-${time}${ending}`);
    this.#size = 0;
    await this.#prune();
  }

  async #prune(): Promise<void> {
    const { path, maxBackups = 0, maxAge = 0, clock } = this.#options;
    const ending = extname(path);
    const start = `${basename(path, ending)}-`;
    const old = (await readdir(dirname(path)))
      .filter((file) => file.startsWith(start) && file.endsWith(ending))
      .map((file) => ({ file, time: timeOf(file.slice(start.length, file.length - ending.length)) }))
      .filter(({ time }) => !Number.isNaN(time))
      .sort((a, b) => b.time - a.time);
    const outdated = old.filter(
      ({ time }, i) =>
        (maxBackups > 0 && i >= maxBackups) || (maxAge > 0 && clock.now() - time > maxAge * DAY_MS),
    );
    for (const { file } of outdated) await rm(join(dirname(path), file), { force: true });
  }

  #complain(error: unknown): void {
    const now = this.#options.clock.now();
    if (now - this.#complained < COMPLAIN_MS) return;
    this.#complained = now;
    this.#options.logger.error({ err: error, lost: this.lost }, 'audit events are lost: the file takes none');
  }
}

const timeOf = (text: string): number =>
  Date.parse(`${text.slice(0, 11)}${text.slice(11).replace('-', ':').replace('-', ':')}Z`);
