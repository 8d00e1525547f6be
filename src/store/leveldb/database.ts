/** The little that the store needs of LevelDB, so that tests can put a failing one in its place. */
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { StoreError } from '../store.js';

export type Operation = { type: 'put'; key: Buffer; value: Buffer } | { type: 'del'; key: Buffer };

export interface Database {
  /** All operations or none; with `sync` on disk once it resolves. */
  write(operations: Operation[], sync: boolean): Promise<void>;
  get(key: Buffer): Promise<Buffer | undefined>;
  /** Entries whose keys start with `prefix`, in order of key; only those behind `after`, if it is given. */
  entries(prefix: string, after?: Buffer): AsyncIterable<[key: Buffer, value: Buffer]>;
  /** Rewrites the files below `prefix`, so that what was overwritten or deleted is gone from disk. */
  scrub(prefix: string): Promise<void>;
  /** Bytes of its files. */
  diskBytes(): Promise<number>;
  /** After a failed write: LevelDB reads its log again up to the last whole write, and starts a new one. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** Everything is read once, at the start: no memory for caches. */
const OPTIONS = {
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
  cacheSize: 1 << 20,
  maxOpenFiles: 64,
} as const;

/** Bytes that come from an iterator at once. */
const READ_AHEAD = 256 << 10;

/** Files that go away meanwhile count as none. */
async function bytesIn(dir: string): Promise<number> {
  const names = await readdir(dir);
  const stats = await Promise.all(names.map((name) => stat(join(dir, name)).catch(() => undefined)));
  return stats.reduce((sum, found) => sum + (found?.size ?? 0), 0);
}

/** Rejects with StoreError: `locked` when another process has it open, `damaged` when it can't be read. */
export async function openDatabase(dir: string): Promise<Database> {
  // Secrets are in it.
  await mkdir(dir, { recursive: true, mode: 0o700 });
  let db = await open(dir);
  return {
    write: (operations, sync) => db.batch(operations, { sync }),
    get: (key) => db.get(key),
    diskBytes: () => bytesIn(dir),
    async *entries(prefix, behind) {
      const from = behind === undefined ? { gte: Buffer.from(prefix) } : { gt: behind };
      const range = { ...from, lt: after(prefix) };
      const iterator = db.iterator({ ...range, fillCache: false, highWaterMarkBytes: READ_AHEAD });
      try {
        for (;;) {
          const entries = await iterator.nextv(1000);
          if (entries.length === 0) return;
          yield* entries;
        }
      } finally {
        await iterator.close();
      }
    },
    scrub: (prefix) => compactRange(db, Buffer.from(prefix), after(prefix)),
    async reopen() {
      await db.close();
      db = await open(dir);
    },
    close: () => db.close(),
  };
}

async function open(dir: string): Promise<Level<Buffer, Buffer>> {
  const db = new Level<Buffer, Buffer>(dir, OPTIONS);
  try {
    await db.open();
    return db;
  } catch (error) {
    throw openError(dir, error as Error & { cause?: Error & { code?: string } });
  }
}

function openError(dir: string, error: Error & { cause?: Error & { code?: string } }): StoreError {
  const cause = error.cause ?? error;
  const code = error.cause?.code;
  if (code === 'LEVEL_LOCKED')
    return new StoreError('locked', `the database ${dir} is in use by another process`, { cause });
  if (code === 'LEVEL_CORRUPTION')
    return new StoreError('damaged', `the database ${dir} is damaged: ${cause.message}`, { cause });
  return new StoreError('closed', `the database ${dir} can't be opened: ${cause.message}`, { cause });
}

/** The first key after all that start with `prefix`. */
function after(prefix: string): Buffer {
  const bytes = Buffer.from(prefix);
  bytes[bytes.length - 1]!++;
  return bytes;
}

/** On Linux a Level is a ClassicLevel, which has this. */
function compactRange(db: Level<Buffer, Buffer>, from: Buffer, to: Buffer): Promise<void> {
  const classic = db as unknown as {
    compactRange(from: Buffer, to: Buffer, options: { keyEncoding: string }): Promise<void>;
  };
  return classic.compactRange(from, to, { keyEncoding: 'buffer' });
}
