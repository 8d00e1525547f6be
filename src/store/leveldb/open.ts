/** Opens the embedded store in a folder. */
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../../api/machinery/clock.js';
import { MemoryIndex } from '../memory.js';
import type { Store } from '../store.js';
import { identityTransformer, type Transformer } from '../transformer.js';
import { type Database, openDatabase } from './database.js';
import { LevelStore } from './level-store.js';
import { recover } from './recover.js';

export interface LevelStoreOptions {
  clock?: Clock;
  logger?: Logger;
  /** What values pass on their way to disk: encryption at rest. */
  transformer?: Transformer;
  /** How long superseded versions are kept (ms), so that watches and paged lists go on. 5 minutes when absent. */
  windowMs?: number;
  /** At most so many revisions of them; 10,000 when absent. */
  windowRevisions?: number;
  /** At most so many bytes of JSON of them; 32 MiB when absent. */
  windowBytes?: number;
  /** For tests: what opens the database. */
  database?: (dir: string) => Promise<Database>;
}

/**
 * Opens the store in `dir`, which is made when it is missing. Rejects with StoreError: `locked` when another
 * process has it open, `damaged` when a record can't be read (the message names it).
 */
export async function openLevelStore(dir: string, options: LevelStoreOptions = {}): Promise<Store> {
  const { transformer = identityTransformer, clock = systemClock } = options;
  const db = await (options.database ?? openDatabase)(dir);
  try {
    const { timeline, garbage, ...contents } = await recover(db, dir, transformer);
    const index = new MemoryIndex(contents);
    return new LevelStore({ ...options, clock, transformer, db, index, timeline, garbage });
  } catch (error) {
    await db.close();
    throw error;
  }
}
