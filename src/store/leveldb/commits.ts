/** Judges commits that arrive together, and makes one batch of those that pass. */
import { ConflictError, type Key, type Stored, type StoreEvent, type Write } from '../store.js';
import type { Transformer } from '../transformer.js';
import { newVersion, type Version } from '../version.js';
import type { Operation } from './database.js';
import { encodeRecord, MAX_WRITES, pointerKey, pointerTo, recordKey } from './records.js';

/** A commit that waits for its batch. */
export interface Pending {
  writes: Write[];
  resolve(results: (Stored | undefined)[]): void;
  reject(error: unknown): void;
}

/** What one synced write to disk makes durable. */
export interface Batch {
  /** The newest revision once it is published. */
  revision: number;
  operations: Operation[];
  events: StoreEvent[];
  /** Commits of the batch, and how each is settled once the batch is visible. */
  commits: { pending: Pending; settle(): void }[];
}

interface Newest {
  revision: number;
  get(key: Key): Version | undefined;
}

/** Batches are cut at so many bytes of JSON, so that no commit waits long for those it shares a batch with. */
const MAX_BYTES = 4 << 20;

/**
 * Takes commits from the start of `queue`. Each is judged against what is visible and the commits before it
 * in the batch. A rejection is told when that state is visible, so that a reader who tries again sees it.
 */
export function makeBatch(queue: Pending[], newest: Newest, transformer: Transformer, time: number): Batch {
  const batch: Batch = { revision: newest.revision, operations: [], events: [], commits: [] };
  const pending = new Map<Key, Version | undefined>();
  const current = (key: Key) => (pending.has(key) ? pending.get(key) : newest.get(key));
  let bytes = 0;
  let taken = 0;
  for (; taken < queue.length && bytes < MAX_BYTES; taken++) {
    const commit = queue[taken]!;
    try {
      const { results, events } = makeCommit(commit.writes, batch.revision + 1, current);
      const operations = events.flatMap((event) => operationsOf(event, transformer, time));
      for (const event of events) {
        const { type, stored } = event;
        pending.set(stored.key, type === 'DELETED' ? undefined : (stored as Version));
        bytes += stored.json.length;
        batch.events.push(event);
      }
      for (const operation of operations) batch.operations.push(operation);
      if (events.length > 0) batch.revision++;
      batch.commits.push({ pending: commit, settle: () => commit.resolve(results) });
    } catch (error) {
      batch.commits.push({ pending: commit, settle: () => commit.reject(error) });
    }
  }
  queue.splice(0, taken);
  return batch;
}

/** The events of one commit. Throws ConflictError, or what keeps an object from being encoded. */
function makeCommit(
  writes: Write[],
  revision: number,
  current: (key: Key) => Version | undefined,
): { results: (Stored | undefined)[]; events: StoreEvent[] } {
  if (writes.length > MAX_WRITES)
    throw new Error(`a commit has ${writes.length} writes; ${MAX_WRITES} are the most`);
  if (writes.length > 1 && new Set(writes.map((write) => write.key)).size < writes.length)
    throw new Error('a commit writes the same key twice');
  for (const { key, expected } of writes) {
    const actual = current(key)?.revision ?? 0;
    if (expected !== undefined && expected !== actual) throw new ConflictError(key, actual);
  }
  const events: StoreEvent[] = [];
  const results = writes.map((write) => {
    const event = makeEvent(write, revision, events.length, current(write.key));
    if (event !== undefined) events.push(event);
    return event?.stored;
  });
  return { results, events };
}

function makeEvent(
  { key, object, last }: Write,
  revision: number,
  index: number,
  previous: Version | undefined,
): StoreEvent | undefined {
  if (object !== null) {
    const stored = newVersion(key, revision, index, object);
    return { type: previous === undefined ? 'ADDED' : 'MODIFIED', revision, stored, previous };
  }
  if (previous === undefined) return undefined;
  const stored = newVersion(key, revision, index, last ?? previous.object);
  return { type: 'DELETED', revision, stored, previous };
}

function operationsOf({ type, stored }: StoreEvent, transformer: Transformer, time: number): Operation[] {
  const { key, revision, index, json } = stored as Version;
  const record = recordKey(revision, index);
  const payload = transformer.encode(key, json);
  const kind = type === 'DELETED' ? 'delete' : 'put';
  return [
    { type: 'put', key: record, value: encodeRecord({ kind, time, key, payload }) },
    kind === 'put'
      ? { type: 'put', key: pointerKey(key), value: pointerTo(record) }
      : { type: 'del', key: pointerKey(key) },
  ];
}
