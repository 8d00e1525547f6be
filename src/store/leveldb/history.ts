/** The window: which superseded versions are kept, by age, number and size. */
import type { MemoryIndex } from '../memory.js';
import type { StoreEvent } from '../store.js';
import type { Version } from '../version.js';
import type { TimeLine } from './timeline.js';

export interface Window {
  /** Milliseconds; 5 minutes when absent. */
  windowMs?: number;
  /** 10,000 when absent. */
  windowRevisions?: number;
  /** Of JSON; 32 MiB when absent. */
  windowBytes?: number;
}

const WINDOW_MS = 300_000;
/** Between two looks at the window (ms), at most. */
const TICK = 10_000;

export class History {
  readonly #ms: number;
  readonly #revisions: number;
  readonly #maxBytes: number;
  #bytes = 0;
  /** Events before this position have cooled down; those before the other will at the next look. */
  #cooled = 0;
  #warm = 0;

  constructor(
    readonly index: MemoryIndex,
    readonly timeline: TimeLine,
    { windowMs = WINDOW_MS, windowRevisions = 10_000, windowBytes = 32 << 20 }: Window,
  ) {
    this.#ms = windowMs;
    this.#revisions = windowRevisions;
    this.#maxBytes = windowBytes;
    const { events } = index;
    for (let at = events.start; at < events.end; at++) this.#bytes += supersededBytes(events.at(at));
  }

  /** How long until the next look. */
  get tickMs(): number {
    return Math.max(100, Math.min(TICK, this.#ms / 10));
  }

  add(events: StoreEvent[], time: number): void {
    this.timeline.mark(events[events.length - 1]!.revision, time);
    for (const event of events) this.#bytes += supersededBytes(event);
  }

  /** Whether the window has outgrown its bounds by a tenth, so that it is cut now and then, not each time. */
  isOverfull(): boolean {
    const { revision, compacted } = this.index;
    return (revision - compacted) * 10 > this.#revisions * 11 || this.#bytes * 10 > this.#maxBytes * 11;
  }

  /** The newest revision that is outside the window. */
  expired(now: number): number {
    const byCount = this.index.revision - this.#revisions;
    return Math.max(byCount, this.timeline.before(now - this.#ms), this.#expiredBySize());
  }

  /** Drops the window's events up to `revision`. Returns the versions that nobody can ask for any more, oldest first. */
  trim(revision: number): Version[] | undefined {
    if (revision <= this.index.compacted) return undefined;
    const superseded: Version[] = [];
    for (const event of this.index.trim(revision)) {
      this.#bytes -= supersededBytes(event);
      if (event.previous !== undefined) superseded.push(event.previous as Version);
      if (event.type === 'DELETED') superseded.push(event.stored as Version);
    }
    return superseded;
  }

  /** Frees what is needed only of new versions, for those that were there at the last call. */
  coolDown(): void {
    const { events } = this.index;
    for (let at = Math.max(this.#cooled, events.start); at < this.#warm; at++) {
      const { stored, previous } = events.at(at);
      (stored as Version).cool();
      (previous as Version | undefined)?.retire();
    }
    this.#cooled = this.#warm;
    this.#warm = events.end;
  }

  #expiredBySize(): number {
    const { events } = this.index;
    let bytes = this.#bytes;
    let revision = 0;
    for (let at = events.start; bytes > this.#maxBytes && at < events.end; at++) {
      bytes -= supersededBytes(events.at(at));
      revision = events.at(at).revision;
    }
    return revision;
  }
}

/** Bytes that are kept for the window alone, because of this event. */
function supersededBytes({ type, stored, previous }: StoreEvent): number {
  return (previous?.json.length ?? 0) + (type === 'DELETED' ? stored.json.length : 0);
}
