/** What is under way for one pod: work of one name never runs side by side, and what failed waits ever longer. */
import type { Clock } from '../../api/machinery/clock.js';
import { KeyedBackoff } from './backoff.js';

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;

export interface OperationsHost {
  clock: Clock;
  /** An operation has come to its end. */
  settled(): void;
  failed(name: string, error: unknown): void;
}

export class Operations {
  readonly #running = new Set<string>();
  /** What is to be done once more after that of its name which is under way. */
  readonly #again = new Map<string, () => Promise<void>>();
  readonly #retries = new KeyedBackoff(FIRST_RETRY_MS, MAX_RETRY_MS);
  readonly #pauses = new Map<string, () => void>();
  readonly #cancels = new Set<() => void>();
  #closed = false;

  constructor(private readonly host: OperationsHost) {}

  has(name: string): boolean {
    return this.#running.has(name);
  }

  /** Does nothing if one of that name is under way; after a failure it stays so for a while. */
  run(name: string, work: () => Promise<void>): void {
    if (this.#running.has(name)) return;
    this.#running.add(name);
    work()
      .then(
        () => this.succeeded(name),
        (error) => {
          if (this.#closed) return undefined;
          this.host.failed(name, error);
          return this.pause(name);
        },
      )
      .finally(() => {
        this.#running.delete(name);
        const again = this.#again.get(name);
        this.#again.delete(name);
        if (again && !this.#closed) this.run(name, again);
        this.host.settled();
      });
  }

  /** As `run`; asked for while one of that name is under way, it is done once more after it. */
  runAfresh(name: string, work: () => Promise<void>): void {
    if (this.#running.has(name)) this.#again.set(name, work);
    else this.run(name, work);
  }

  succeeded(what: string): void {
    this.#retries.forget(what);
  }

  /** Waits for the next try of what failed. */
  pause(what: string): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#pauses.delete(what);
        resolve();
      };
      this.#pauses.set(what, done);
      this.retry(what, done);
    });
  }

  /** As `pause`, for what is not an operation. */
  retry(what: string, work: () => void): void {
    const now = this.host.clock.elapsed();
    this.#retries.next(what, now, now);
    this.after(this.#retries.delay(what), work);
  }

  /** Nothing that failed is waited for any longer. */
  endPauses(): void {
    for (const what of [...this.#pauses.keys()]) this.endPause(what);
  }

  /** What failed so is not waited for any longer. */
  endPause(what: string): void {
    this.#pauses.get(what)?.();
  }

  after(ms: number, work: () => void): void {
    const cancel = this.host.clock.after(Math.max(0, ms), () => {
      this.#cancels.delete(cancel);
      work();
    });
    this.#cancels.add(cancel);
  }

  close(): void {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
  }
}
