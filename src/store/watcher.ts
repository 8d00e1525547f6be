/** Readers of a ring of events, each at its own position. */
import type { Ring } from './ring.js';
import { type Key, RevisionError, StoreError, type StoreEvent, type Watcher } from './store.js';

/** What a watcher reads from: the events of one resource, or of all. */
export interface EventLog {
  readonly events: Ring<StoreEvent>;
  readonly watchers: Set<RingWatcher>;
}

/** The revisions between which the log's events are. */
export interface Progress {
  readonly revision: number;
  readonly compacted: number;
}

/** So many events at most (to the end of their commit) come from one `next`. */
const MAX_EVENTS = 256;

export class RingWatcher implements Watcher {
  #position: number;
  /** The newest revision that was read while there were more. */
  #read: number;
  #waiting: { resolve(events: readonly StoreEvent[]): void; reject(error: Error): void } | undefined;
  #closed = false;
  #ended: Error | undefined;

  constructor(
    readonly log: EventLog,
    readonly prefix: Key,
    revision: number,
    readonly progress: Progress,
  ) {
    this.#read = revision;
    this.#position = log.events.search((event) => event.revision <= revision);
    log.watchers.add(this);
  }

  get revision(): number {
    return this.#position === this.log.events.end ? this.progress.revision : this.#read;
  }

  async next(signal?: AbortSignal): Promise<readonly StoreEvent[]> {
    if (this.#waiting !== undefined) throw new Error('next() is called while another waits');
    if (this.#closed || signal?.aborted) return [];
    if (this.#ended !== undefined) throw this.#ended;
    const events = this.#take();
    return events.length > 0 ? events : this.#wait(signal);
  }

  close(): void {
    this.#closed = true;
    this.log.watchers.delete(this);
    this.#waiting?.resolve([]);
  }

  /** There may be something new, or what is wanted next may have been dropped. */
  wake(): void {
    if (this.#waiting === undefined) return;
    try {
      const events = this.#take();
      if (events.length > 0) this.#waiting.resolve(events);
    } catch (error) {
      this.#waiting.reject(error as Error);
    }
  }

  /** The store is closed: nothing comes any more. */
  end(): void {
    this.#ended = new StoreError('closed', 'the store is closed');
    this.log.watchers.delete(this);
    this.#waiting?.reject(this.#ended);
  }

  #wait(signal: AbortSignal | undefined): Promise<readonly StoreEvent[]> {
    return new Promise((resolve, reject) => {
      const abort = () => this.#waiting?.resolve([]);
      const settle = () => {
        this.#waiting = undefined;
        signal?.removeEventListener('abort', abort);
      };
      this.#waiting = {
        resolve(events) {
          settle();
          resolve(events);
        },
        reject(error) {
          settle();
          reject(error);
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  #take(): StoreEvent[] {
    const { events } = this.log;
    if (this.#position < events.start)
      throw new RevisionError('compacted', this.#read, this.progress.compacted);
    const taken: StoreEvent[] = [];
    while (this.#position < events.end) {
      const event = events.at(this.#position);
      if (taken.length >= MAX_EVENTS && event.revision !== this.#read) break;
      this.#position++;
      this.#read = event.revision;
      if (event.stored.key.startsWith(this.prefix)) taken.push(event);
    }
    return taken;
  }
}
