/** The store on LevelDB: group commit, what happens when a write fails, and compaction. */
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import type { MemoryIndex } from '../memory.js';
import {
  type Key,
  type Listed,
  type ListOptions,
  type Store,
  type Stored,
  StoreError,
  type Watcher,
  type Write,
} from '../store.js';
import type { Transformer } from '../transformer.js';
import { type Batch, makeBatch, type Pending } from './commits.js';
import type { Database, Operation } from './database.js';
import { History, type Window } from './history.js';
import { COMPACTED_KEY, encodeRevision, RECORDS, recordKey } from './records.js';
import { Reencoding } from './reencode.js';
import type { TimeLine } from './timeline.js';

export interface LevelStoreParts extends Window {
  db: Database;
  index: MemoryIndex;
  transformer: Transformer;
  clock: Clock;
  logger?: Logger;
  timeline: TimeLine;
  /** Keys of records that nobody needs any more. */
  garbage: Buffer[];
}

/** Records that are removed with one write. */
const GARBAGE_A_WRITE = 200;
/** After the database could not be opened again, the next try is not sooner than this (ms). */
const REOPEN_PAUSE = 1000;

export class LevelStore implements Store {
  readonly #parts: LevelStoreParts;
  readonly #index: MemoryIndex;
  readonly #history: History;
  #queue: Pending[] = [];
  #garbage: Operation[];
  #garbageWaiters: (() => void)[] = [];
  #flushing: Promise<void> | undefined;
  #reencodings: { work: Reencoding; done(count: number): void; failed(error: unknown): void }[] = [];
  #scrubbing: Promise<void> | undefined;
  /** The database failed, and could not be opened again yet. */
  #broken: { error: StoreError; batch: Batch; until: number } | undefined;
  #closed = false;
  #cancelTick: () => void;

  constructor(parts: LevelStoreParts) {
    this.#parts = parts;
    this.#index = parts.index;
    this.#history = new History(parts.index, parts.timeline, parts);
    this.#garbage = parts.garbage.map((key) => ({ type: 'del', key }));
    this.#cancelTick = this.#nextTick();
    if (this.#garbage.length > 0) this.#schedule();
  }

  get revision(): number {
    return this.#index.revision;
  }

  get compacted(): number {
    return this.#index.compacted;
  }

  get(key: Key): Stored | undefined {
    return this.#index.get(key);
  }

  async list(prefix: string, options?: ListOptions): Promise<Listed> {
    return this.#index.list(prefix, options);
  }

  sizes(): Map<string, number> {
    return this.#index.sizes();
  }

  diskBytes(): Promise<number> {
    return this.#parts.db.diskBytes();
  }

  watch(prefix: string, revision: number): Watcher {
    if (this.#closed) throw closedError();
    return this.#index.watch(prefix, revision);
  }

  commit(writes: Write[]): Promise<(Stored | undefined)[]> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#queue.push({ writes, resolve, reject });
      this.#schedule();
    });
  }

  async compact(revision: number): Promise<void> {
    if (this.#closed) throw closedError();
    const superseded = this.#history.trim(Math.min(revision, this.#index.revision));
    if (superseded === undefined) return;
    const value = encodeRevision(this.#index.compacted);
    this.#garbage.push({ type: 'put', key: COMPACTED_KEY, value });
    for (const version of superseded)
      this.#garbage.push({ type: 'del', key: recordKey(version.revision, version.index) });
    const done = new Promise<void>((resolve) => this.#garbageWaiters.push(resolve));
    this.#schedule();
    await done;
  }

  async reencode(): Promise<number> {
    if (this.#closed) throw closedError();
    const { db, transformer } = this.#parts;
    const count = await new Promise<number>((done, failed) => {
      this.#reencodings.push({ work: new Reencoding(db, transformer), done, failed });
      this.#schedule();
    });
    if (count === 0 || this.#closed) return count;
    this.#scrubbing = db.scrub(RECORDS);
    await this.#scrubbing;
    return count;
  }

  /** Commits that were accepted before are finished first. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTick();
    await this.#flushing;
    for (const { failed } of this.#reencodings.splice(0)) failed(closedError());
    await this.#scrubbing?.catch(() => undefined);
    this.#settleGarbage();
    this.#index.close();
    await this.#parts.db.close();
  }

  /** Commits of the same turn of the event loop, and all that arrive while a batch is written, share one. */
  #schedule(): void {
    this.#flushing ??= this.#flush();
  }

  async #flush(): Promise<void> {
    do {
      await turn();
    } while ((await this.#writeBatch()) && (this.#queue.length > 0 || (this.#hasChores() && !this.#closed)));
    // At once, with no promise between: whoever commits next must find that nothing flushes.
    this.#flushing = undefined;
  }

  #hasChores(): boolean {
    return this.#garbage.length > 0 || this.#reencodings.length > 0;
  }

  /** Between the batches of commits: a record must not be removed between its being read and written. */
  async #reencodeSome(): Promise<void> {
    const [first] = this.#reencodings;
    if (first === undefined || this.#closed) return;
    try {
      if (!(await first.work.step())) return;
      first.done(first.work.count);
    } catch (error) {
      // Nothing may follow a torn record in LevelDB's log.
      await this.#parts.db.reopen().catch(() => undefined);
      first.failed(error);
    }
    this.#reencodings.shift();
  }

  /** Whether there is a point in going on. */
  async #writeBatch(): Promise<boolean> {
    if (this.#broken !== undefined && !(await this.#mended())) return false;
    const { clock, db, transformer } = this.#parts;
    const time = clock.now();
    const batch = makeBatch(this.#queue, this.#index, transformer, time);
    const garbage = this.#garbage.splice(0, GARBAGE_A_WRITE);
    // Garbage alone needs no sync: what is still there after a crash is found when the database is opened.
    const operations = garbage.length === 0 ? batch.operations : batch.operations.concat(garbage);
    try {
      if (operations.length > 0) await db.write(operations, batch.operations.length > 0);
    } catch (error) {
      this.#garbage = garbage.concat(this.#garbage);
      await this.#failed(batch, error as Error);
      return this.#queue.length > 0;
    }
    this.#publish(batch, time);
    if (this.#garbage.length === 0) this.#settleGarbage();
    await this.#reencodeSome();
    return true;
  }

  #publish(batch: Batch, time: number): void {
    if (batch.events.length > 0) {
      this.#index.publish(batch.events, batch.revision);
      this.#history.add(batch.events, time);
    }
    for (const { settle } of batch.commits) settle();
    if (this.#history.isOverfull()) this.#compactTo(this.#history.expired(time));
  }

  /**
   * Whether a failed write is on disk is not known, and LevelDB must not write to its log after a torn
   * record: the database is opened again, which tells.
   */
  async #failed(batch: Batch, cause: Error): Promise<void> {
    this.#parts.logger?.error({ err: cause }, 'a write to the database failed; opening it again');
    const message = `the write could not be saved: ${rootCause(cause)}`;
    const error = new StoreError('write-failed', message, { cause });
    this.#broken = { error, batch, until: 0 };
    await this.#mended();
  }

  /** Tries to open the database again; if it can't be, all waiting commits are rejected. */
  async #mended(): Promise<boolean> {
    const broken = this.#broken!;
    const { clock, db, logger } = this.#parts;
    if (clock.now() >= broken.until) {
      try {
        await db.reopen();
        await this.#settleFailed(broken.batch, broken.error);
        this.#broken = undefined;
        return true;
      } catch (error) {
        logger?.error({ err: error }, 'the database can not be opened again yet');
        broken.until = clock.now() + REOPEN_PAUSE;
      }
    }
    for (const { pending } of broken.batch.commits) pending.reject(broken.error);
    for (const pending of this.#queue.splice(0)) pending.reject(broken.error);
    return false;
  }

  /** The batch is on disk after all, or it never was. */
  async #settleFailed(batch: Batch, error: StoreError): Promise<void> {
    const first = batch.events[0]?.stored;
    if (first !== undefined && (await this.#parts.db.get(recordKey(first.revision, 0))) !== undefined) {
      this.#publish(batch, this.#parts.clock.now());
      return;
    }
    for (const { pending } of batch.commits) pending.reject(error);
  }

  #nextTick(): () => void {
    const { clock } = this.#parts;
    return clock.after(this.#history.tickMs, () => {
      this.#cancelTick = this.#nextTick();
      this.#history.coolDown();
      this.#compactTo(this.#history.expired(clock.now()));
    });
  }

  #compactTo(revision: number): void {
    if (this.#closed || revision <= this.#index.compacted) return;
    this.compact(revision).catch((err) => this.#parts.logger?.error({ err }, 'compaction failed'));
  }

  #settleGarbage(): void {
    for (const resolve of this.#garbageWaiters.splice(0)) resolve();
  }
}

/** Lets all that is ready on the event loop run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function closedError(): StoreError {
  return new StoreError('closed', 'the store is closed');
}

function rootCause(error: Error): string {
  return error.cause instanceof Error ? rootCause(error.cause) : error.message;
}
