/** Reads a database into memory when it is opened, and says which record is damaged if one is. */
import type { Contents } from '../memory.js';
import { type Key, StoreError, type StoreEvent } from '../store.js';
import { TransformError, type Transformer } from '../transformer.js';
import { Version } from '../version.js';
import type { Database } from './database.js';
import {
  COMPACTED_KEY,
  type DiskRecord,
  decodeRecord,
  FORMAT,
  FORMAT_KEY,
  POINTERS,
  parseRecordKey,
  pointerTo,
  RECORDS,
  recordKey,
} from './records.js';
import { TimeLine } from './timeline.js';

/** The revision of an empty store: 0 means "any" to clients of the API. */
const FIRST = 1;

export interface Recovered extends Contents {
  timeline: TimeLine;
  /** Keys of records that are superseded and older than the window. */
  garbage: Buffer[];
}

/** Rejects with StoreError `damaged`, or `undecipherable` where a key is missing. */
export async function recover(db: Database, dir: string, transformer: Transformer): Promise<Recovered> {
  await checkFormat(db, dir);
  const compacted = await db.get(COMPACTED_KEY);
  const reader = new Reader(
    dir,
    compacted === undefined ? FIRST : Number(compacted.readBigUInt64BE()),
    transformer,
  );
  for await (const [key, value] of db.entries(RECORDS)) reader.read(key, value);
  await checkPointers(db, dir, reader.newest);
  return reader;
}

class Reader implements Recovered {
  readonly newest = new Map<Key, Version>();
  readonly events: StoreEvent[] = [];
  readonly timeline = new TimeLine();
  readonly garbage: Buffer[] = [];
  revision: number;
  #index = -1;

  constructor(
    readonly dir: string,
    readonly compacted: number,
    readonly transformer: Transformer,
  ) {
    this.revision = compacted;
  }

  read(recordKey: Buffer, value: Buffer): void {
    const { revision, index } = parseRecordKey(recordKey);
    const { record, json } = this.#decode(revision, index, value);
    const version = new Version(record.key, revision, index, json);
    const previous = this.newest.get(record.key);
    if (record.kind === 'put') this.newest.set(record.key, version);
    else this.newest.delete(record.key);
    if (revision <= this.compacted) this.#old(record, version, previous);
    else this.#event(record, version, previous);
  }

  #decode(revision: number, index: number, value: Buffer): { record: DiskRecord; json: Buffer } {
    try {
      const record = decodeRecord(value);
      return { record, json: this.transformer.decode(record.key, record.payload) };
    } catch (error) {
      const key = keyOf(value);
      if (error instanceof TransformError)
        throw new StoreError(
          'undecipherable',
          `a value in the database ${this.dir} can't be read${key}: ${error.message}`,
        );
      throw damaged(this.dir, `record ${revision}.${index}${key} can't be read: ${(error as Error).message}`);
    }
  }

  #old(record: DiskRecord, version: Version, previous: Version | undefined): void {
    if (previous !== undefined) this.garbage.push(recordKey(previous.revision, previous.index));
    if (record.kind === 'delete') this.garbage.push(recordKey(version.revision, version.index));
  }

  #event(record: DiskRecord, version: Version, previous: Version | undefined): void {
    const { revision, index } = version;
    const follows =
      revision === this.revision ? index === this.#index + 1 : revision === this.revision + 1 && index === 0;
    if (!follows) throw damaged(this.dir, `what follows record ${this.revision}.${this.#index} is missing`);
    this.revision = revision;
    this.#index = index;
    this.timeline.mark(revision, record.time);
    const type = record.kind === 'delete' ? 'DELETED' : previous === undefined ? 'ADDED' : 'MODIFIED';
    this.events.push({ type, revision, stored: version, previous });
  }
}

async function checkFormat(db: Database, dir: string): Promise<void> {
  const format = await db.get(FORMAT_KEY);
  if (format === undefined)
    await db.write([{ type: 'put', key: FORMAT_KEY, value: Buffer.from(FORMAT) }], true);
  else if (format.toString() !== FORMAT)
    throw new StoreError('damaged', `the database ${dir} has format ${format}; this version reads ${FORMAT}`);
}

/** Each pointer names the newest record of its key, and each key that lives has one. */
async function checkPointers(db: Database, dir: string, newest: Map<Key, Version>): Promise<void> {
  let pointers = 0;
  for await (const [pointer, target] of db.entries(POINTERS)) {
    const key = pointer.toString('utf8', POINTERS.length);
    const version = newest.get(key);
    if (version === undefined || !pointerTo(recordKey(version.revision, version.index)).equals(target))
      throw damaged(dir, `the newest record of ${key} is missing`);
    pointers++;
  }
  if (pointers !== newest.size) throw damaged(dir, `${newest.size - pointers} keys have no pointer`);
}

function damaged(dir: string, what: string): StoreError {
  return new StoreError('damaged', `the database ${dir} is damaged: ${what}`);
}

/** The key of a record that can't be read, as far as it can. */
function keyOf(value: Buffer): string {
  try {
    const end = 13 + value.readUInt16BE(11);
    return end <= value.length ? ` (${value.toString('utf8', 13, end)})` : '';
  } catch {
    return '';
  }
}
