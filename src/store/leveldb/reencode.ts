/** Writes anew, a chunk at a time, the records whose transformer would encode them otherwise by now. */
import type { Transformer } from '../transformer.js';
import type { Database, Operation } from './database.js';
import { decodeRecord, encodeRecord, RECORDS } from './records.js';

/** Records that are looked at between two batches of commits. */
const CHUNK = 500;

export class Reencoding {
  /** How many records were written anew. */
  count = 0;
  #after: Buffer | undefined;

  constructor(
    readonly db: Database,
    readonly transformer: Transformer,
  ) {}

  /** One chunk, in one synced write; nothing else may write meanwhile. Resolves with whether that was all. */
  async step(): Promise<boolean> {
    const operations: Operation[] = [];
    let seen = 0;
    let last = this.#after;
    for await (const [key, value] of this.db.entries(RECORDS, this.#after)) {
      const anew = this.#anew(value);
      if (anew !== undefined) operations.push({ type: 'put', key, value: anew });
      last = key;
      if (++seen === CHUNK) break;
    }
    if (operations.length > 0) await this.db.write(operations, true);
    this.count += operations.length;
    this.#after = last;
    return seen < CHUNK;
  }

  #anew(value: Buffer): Buffer | undefined {
    const record = decodeRecord(value);
    const { key, payload } = record;
    if (!this.transformer.isStale?.(key, payload)) return undefined;
    const plain = this.transformer.decode(key, payload);
    return encodeRecord({ ...record, payload: this.transformer.encode(key, plain) });
  }
}
