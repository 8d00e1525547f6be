/** When a container that has ended may start again. */
import type { ContainerStatus } from '../../runtime/types.js';
import { goDuration, KeyedBackoff } from './backoff.js';

/** The one key: each container has a back-off of its own. */
const KEY = '';

export class RestartBackoff {
  readonly #backoff = new KeyedBackoff();
  #end: { id: string; at: number } | undefined;
  #told = 0;

  notBefore(run: ContainerStatus, now: number): number {
    return this.#backoff.notBefore(KEY, this.#endOf(run, now));
  }

  /** It starts again after this run. */
  next(run: ContainerStatus, now: number): void {
    this.#backoff.next(KEY, this.#endOf(run, now), now);
  }

  /** The delay that counts now, as Go prints it, if nobody was told of this wait. */
  untold(until: number): string | undefined {
    if (this.#told === until) return undefined;
    this.#told = until;
    return goDuration(this.#backoff.delay(KEY));
  }

  /** For a next agent, which gives it to `restore`. */
  save(): string {
    return this.#backoff.save(KEY);
  }

  restore(saved: string): void {
    this.#backoff.restore(KEY, saved);
  }

  /** When the run ended, by the clock as it is now: after a step back, an end in the future counts as one of now. */
  #endOf(run: ContainerStatus, now: number): number {
    if (this.#end?.id !== run.id) this.#end = { id: run.id, at: run.finishedAt };
    this.#end.at = Math.min(this.#end.at, now);
    return this.#end.at;
  }
}
