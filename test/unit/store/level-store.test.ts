/** The store on LevelDB: the common suite, and what is special to it. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, type Operation, openDatabase } from '../../../src/store/leveldb/database.js';
import { type LevelStoreOptions, openLevelStore } from '../../../src/store/leveldb/open.js';
import { recordKey } from '../../../src/store/leveldb/records.js';
import { RevisionError, type Store, StoreError } from '../../../src/store/store.js';
import { aesTransformer } from '../../../src/store/transformer.js';
import { FakeClock } from '../../fixtures/fake-clock.js';
import { keyOf, type Place, put, read, remove, storeSuite } from './suite.js';

/** A LevelDB whose writes can be counted and made to fail. */
class TestDatabase implements Database {
  readonly writes: { operations: Operation[]; sync: boolean }[] = [];
  /** Called before a write; what it throws is the write's failure. */
  before: (operations: Operation[]) => void = () => {};
  /** Called after a write that worked. */
  after: () => void = () => {};
  beforeReopen: () => void = () => {};

  constructor(readonly db: Database) {}

  async write(operations: Operation[], sync: boolean): Promise<void> {
    this.before(operations);
    await this.db.write(operations, sync);
    this.writes.push({ operations, sync });
    this.after();
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.db.get(key);
  }

  entries(prefix: string, after?: Buffer): AsyncIterable<[Buffer, Buffer]> {
    return this.db.entries(prefix, after);
  }

  diskBytes(): Promise<number> {
    return this.db.diskBytes();
  }

  scrub(prefix: string): Promise<void> {
    return this.db.scrub(prefix);
  }

  async reopen(): Promise<void> {
    this.beforeReopen();
    await this.db.reopen();
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

const fail = (message: string) => () => {
  throw new Error(message);
};

describe('LevelDB store', function () {
  // A sync of a busy disk takes its time.
  this.timeout(30_000);
  const newDir = () => mkdtempSync(join(tmpdir(), 'keelson-test-store-'));

  async function open(options: LevelStoreOptions = {}): Promise<Place & { dir: string }> {
    const dir = newDir();
    const place = {
      dir,
      store: await openLevelStore(dir, options),
      async reopen() {
        await place.store.close();
        place.store = await openLevelStore(dir, options);
        return place.store;
      },
      async remove() {
        await place.store.close();
        rmSync(dir, { recursive: true });
      },
    };
    return place;
  }

  storeSuite(open);

  describe('group commit', () => {
    it('writes commits that arrive together with one sync', async () => {
      let db!: TestDatabase;
      const database = async (dir: string) => {
        db = new TestDatabase(await openDatabase(dir));
        return db;
      };
      const place = await open({ database });
      db.writes.length = 0;
      await Promise.all(Array.from({ length: 50 }, (_, i) => put(place.store, `n${i}`)));
      assert.deepEqual(
        db.writes.map((w) => w.sync),
        [true],
      );
      await place.remove();
    });

    it('gathers those that arrive while a batch is written', async () => {
      let db!: TestDatabase;
      const database = async (dir: string) => {
        db = new TestDatabase(await openDatabase(dir));
        return db;
      };
      const place = await open({ database });
      db.writes.length = 0;
      const late: Promise<unknown>[] = [];
      db.before = () => {
        db.before = () => {};
        late.push(...Array.from({ length: 20 }, (_, i) => put(place.store, `late${i}`)));
      };
      await put(place.store, 'early');
      assert.equal(place.store.get(keyOf('late0')), undefined);
      await Promise.all(late);
      assert.equal(db.writes.length, 2);
      await place.remove();
    });
  });

  describe('when a write fails', () => {
    let place: Place & { dir: string };
    let store: Store;
    let db: TestDatabase;

    beforeEach(async () => {
      const database = async (dir: string) => {
        db = new TestDatabase(await openDatabase(dir));
        return db;
      };
      place = await open({ database });
      store = place.store;
      await put(store, 'a', { x: '1' });
    });
    afterEach(() => place.remove());

    const writeFailed = (error: unknown) =>
      error instanceof StoreError && error.kind === 'write-failed' && /No space left/.test(error.message);

    it('rejects the batch, shows nothing of it and goes on with the next', async () => {
      const { revision } = store;
      const watcher = store.watch('', revision);
      let late!: Promise<unknown>;
      db.before = () => {
        db.before = () => {};
        late = put(store, 'late', {}, 0);
        fail('No space left on device')();
      };
      await Promise.all([
        assert.rejects(put(store, 'a', { x: '2' }, revision), writeFailed),
        assert.rejects(put(store, 'b'), writeFailed),
      ]);
      await late;
      assert.deepEqual(store.get(keyOf('a'))!.object['data'], { x: '1' });
      assert.deepEqual(
        (await read(watcher, 1)).map((e) => [e.revision, e.stored.key]),
        [[revision + 1, keyOf('late')]],
      );
      store = await place.reopen();
      assert.deepEqual(
        (await store.list('')).items.map((s) => [s.key, s.revision]),
        [
          [keyOf('a'), revision],
          [keyOf('late'), revision + 1],
        ],
      );
    });

    it('acknowledges the batch if it turns out to be on disk', async () => {
      db.after = () => {
        db.after = () => {};
        fail('I/O error')();
      };
      const stored = await put(store, 'a', { x: '2' });
      assert.equal(store.get(keyOf('a')), stored);
      store = await place.reopen();
      assert.deepEqual(store.get(keyOf('a'))!.object['data'], { x: '2' });
    });

    it('can be read while the database stays broken, and mends itself', async () => {
      const clock = new FakeClock();
      await place.remove();
      const database = async (dir: string) => {
        db = new TestDatabase(await openDatabase(dir));
        return db;
      };
      place = await open({ database, clock });
      store = place.store;
      await put(store, 'a', { x: '1' });
      db.before = fail('No space left on device');
      db.beforeReopen = fail('No space left on device');
      await assert.rejects(put(store, 'b'), writeFailed);
      await assert.rejects(put(store, 'c'), writeFailed);
      assert.deepEqual(store.get(keyOf('a'))!.object['data'], { x: '1' });
      db.before = () => {};
      db.beforeReopen = () => {};
      await assert.rejects(put(store, 'd'), writeFailed, 'the next try is a second later');
      clock.advance(1000);
      const { revision } = store;
      assert.equal((await put(store, 'e')).revision, revision + 1);
      store = await place.reopen();
      assert.equal((await store.list('')).items.length, 2);
    });

    it('can be closed while the database stays broken', async () => {
      db.before = fail('No space left on device');
      db.beforeReopen = fail('No space left on device');
      await assert.rejects(put(store, 'b'), writeFailed);
      await store.close();
      store = await openLevelStore(place.dir);
      assert.equal((await store.list('')).items.length, 1);
      await store.close();
    });
  });

  describe('the window', () => {
    const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

    it('is cut by age', async () => {
      const clock = new FakeClock();
      const place = await open({ clock, windowMs: 60_000 });
      const { store } = place;
      const start = store.revision;
      for (let i = 0; i < 5; i++) await put(store, 'old');
      clock.advance(55_000);
      for (let i = 0; i < 5; i++) await put(store, 'new');
      assert.equal(store.compacted, start);
      clock.advance(20_000);
      assert.equal(store.compacted, start + 5);
      await settled();
      assert.throws(() => store.watch('', start + 4), RevisionError);
      assert.equal((await read(store.watch('', start + 5), 5)).length, 5);
      await place.remove();
    });

    it('is cut by age also after a restart', async () => {
      const clock = new FakeClock();
      const place = await open({ clock, windowMs: 60_000 });
      const start = place.store.revision;
      await put(place.store, 'a');
      await put(place.store, 'a');
      clock.advance(30_000);
      const store = await place.reopen();
      await put(store, 'a');
      assert.equal(store.compacted, start);
      clock.advance(45_000);
      assert.equal(store.compacted, start + 2);
      await place.remove();
    });

    it('is cut by number', async () => {
      const place = await open({ windowRevisions: 100 });
      const { store } = place;
      for (let i = 0; i < 50; i++) await Promise.all([1, 2, 3, 4, 5, 6].map((n) => put(store, `n${n}`)));
      const kept = store.revision - store.compacted;
      assert.ok(kept >= 100 && kept <= 120, `${kept} revisions are kept`);
      await place.remove();
    });

    it('is cut by size', async () => {
      const place = await open({ windowBytes: 100_000 });
      const { store } = place;
      for (let i = 0; i < 50; i++) await put(store, 'a', { x: 'x'.repeat(10_000) });
      const kept = store.revision - store.compacted;
      assert.ok(kept >= 8 && kept <= 12, `${kept} revisions are kept`);
      await place.remove();
    });

    it('leaves one record of each object on disk, and none of what was deleted', async () => {
      let db!: Database;
      const place = await open({
        database: async (dir) => {
          db = await openDatabase(dir);
          return db;
        },
      });
      const { store } = place;
      for (let i = 0; i < 300; i++) await put(store, `n${i % 7}`);
      await remove(store, 'n3');
      await store.compact(store.revision);
      const count = async (prefix: string) => {
        let entries = 0;
        for await (const _ of db.entries(prefix)) entries++;
        return entries;
      };
      assert.deepEqual([await count('r/'), await count('k/')], [6, 6]);
      await place.remove();
    });

    it('is cleaned after a restart if a crash kept it from that', async () => {
      let db!: TestDatabase;
      const place = await open({
        database: async (dir) => {
          db = new TestDatabase(await openDatabase(dir));
          return db;
        },
      });
      for (let i = 0; i < 500; i++) void put(place.store, `n${i % 5}`);
      await put(place.store, 'last');
      void place.store.compact(place.store.revision);
      db.after = () => {
        // Only the first part of the garbage goes, as if the process had ended here.
        db.before = fail('killed');
        db.beforeReopen = fail('killed');
      };
      await settled();
      let store = await place.reopen();
      assert.equal((await store.list('')).items.length, 6);
      await settled();
      store = await place.reopen();
      let records = 0;
      for await (const _ of db.entries('r/')) records++;
      assert.equal(records, 6);
      await place.remove();
    });
  });

  describe('versions', () => {
    it('are the same when they are asked for again after they have cooled down', async () => {
      const clock = new FakeClock();
      const place = await open({ clock });
      const { store } = place;
      const first = await put(store, 'a', { x: '1' });
      const second = await put(store, 'a', { x: '2' });
      second.encodings.set('table', 'row');
      const objects = [first, second].map((stored) => structuredClone(stored.object));
      clock.advance(60_000);
      assert.deepEqual([first.object, second.object], objects);
      assert.ok(Object.isFrozen(first.object['data']));
      assert.equal(store.get(keyOf('a')), second);
      assert.equal(second.encodings.get('table'), 'row');
      await place.remove();
    });
  });

  describe('what is on disk', () => {
    it('belongs to one process at a time', async () => {
      const place = await open();
      await assert.rejects(openLevelStore(place.dir), (error) => {
        assert.ok(error instanceof StoreError && error.kind === 'locked');
        assert.equal(error.message, `the database ${place.dir} is in use by another process`);
        return true;
      });
      await place.remove();
    });

    it('is refused, by name, if a record was changed', async () => {
      const place = await open();
      const { revision } = await put(place.store, 'a');
      await put(place.store, 'b');
      await place.store.close();
      const db = await openDatabase(place.dir);
      const key = recordKey(revision, 0);
      const value = (await db.get(key))!;
      value[value.length - 3]! ^= 1;
      await db.write([{ type: 'put', key, value }], true);
      await db.close();
      const named = new RegExp(`damaged: record ${revision}.0 \\(core/configmaps/default/a\\) can't be read`);
      await assert.rejects(openLevelStore(place.dir), named);
      rmSync(place.dir, { recursive: true });
    });

    it('is refused if a record is missing', async () => {
      const place = await open();
      const { revision } = await put(place.store, 'a');
      await put(place.store, 'a');
      await place.store.close();
      const db = await openDatabase(place.dir);
      await db.write([{ type: 'del', key: recordKey(revision, 0) }], true);
      await db.close();
      await assert.rejects(openLevelStore(place.dir), /what follows record .* is missing/);
      rmSync(place.dir, { recursive: true });
    });

    it('is refused if its pointers and its records do not fit together', async () => {
      const place = await open();
      const { revision } = await put(place.store, 'a');
      await put(place.store, 'b');
      await place.store.compact(place.store.revision);
      await place.store.close();
      const change = async (operation: Operation) => {
        const db = await openDatabase(place.dir);
        await db.write([operation], true);
        await db.close();
      };
      await change({ type: 'del', key: recordKey(revision, 0) });
      await assert.rejects(
        openLevelStore(place.dir),
        /the newest record of core\/configmaps\/default\/a is missing/,
      );
      await change({ type: 'del', key: Buffer.from(`k/${keyOf('a')}`) });
      await change({ type: 'del', key: Buffer.from(`k/${keyOf('b')}`) });
      await assert.rejects(openLevelStore(place.dir), /1 keys have no pointer/);
      rmSync(place.dir, { recursive: true });
    });

    it('is refused if its log is damaged before its end, instead of losing what follows', async () => {
      const place = await open();
      const fill = () => put(place.store, 'a', { fill: 'x'.repeat(10_000) });
      for (let i = 0; i < 20; i++) await fill();
      await place.store.close();
      const log = join(place.dir, readdirSync(place.dir).find((f) => f.endsWith('.log'))!);
      const bytes = readFileSync(log);
      bytes[50_000]! ^= 1;
      writeFileSync(log, bytes);
      await assert.rejects(openLevelStore(place.dir), /damaged: what follows record .* is missing/);
      rmSync(place.dir, { recursive: true });
    });

    it('is for its owner only', async () => {
      const parent = newDir();
      const dir = join(parent, 'db');
      const store = await openLevelStore(dir);
      assert.equal(statSync(dir).mode & 0o777, 0o700);
      await store.close();
      rmSync(parent, { recursive: true });
    });

    it('opens to the last whole commit wherever its log was cut off', async function () {
      this.timeout(30_000);
      const place = await open();
      for (let i = 0; i < 12; i++)
        await place.store.commit(
          ['a', 'b', 'c'].map((name) => ({
            key: keyOf(name),
            object: { apiVersion: 'v1', kind: 'X', metadata: { name }, i, fill: 'x'.repeat(200) },
          })),
        );
      const last = place.store.revision;
      await place.store.close();
      const log = join(place.dir, readdirSync(place.dir).find((f) => f.endsWith('.log'))!);
      const bytes = readFileSync(log);
      const revisions = new Set<number>();
      for (let size = bytes.length; size >= 0; size -= 97) {
        const copy = newDir();
        for (const file of readdirSync(place.dir)) {
          copyFileSync(join(place.dir, file), join(copy, file));
        }
        truncateSync(join(copy, log.split('/').pop()!), size);
        const store = await openLevelStore(copy);
        const { items } = await store.list('');
        revisions.add(store.revision);
        assert.ok(items.length === 0 || items.length === 3);
        assert.equal(
          new Set(items.map((s) => `${s.revision} ${s.object['i']}`)).size,
          items.length === 0 ? 0 : 1,
        );
        await store.close();
        rmSync(copy, { recursive: true });
      }
      assert.equal(revisions.size, 13, 'each commit was the last whole one once');
      assert.equal(Math.max(...revisions), last);
      rmSync(place.dir, { recursive: true });
    });

    it('does not show what is encrypted, and is refused without the key', async () => {
      const transformer = aesTransformer([{ id: 'one', secret: Buffer.alloc(32, 1) }]);
      const place = await open({ transformer });
      await put(place.store, 'a', { password: 'correct-horse' });
      let store = await place.reopen();
      assert.deepEqual(store.get(keyOf('a'))!.object['data'], { password: 'correct-horse' });
      await store.close();
      for (const file of readdirSync(place.dir)) {
        const path = join(place.dir, file);
        if (statSync(path).isFile()) assert.ok(!readFileSync(path).includes('correct-horse'), file);
      }
      const other = aesTransformer([{ id: 'two', secret: Buffer.alloc(32, 2) }]);
      await assert.rejects(openLevelStore(place.dir, { transformer: other }), /not configured/);
      const both = aesTransformer([
        { id: 'two', secret: Buffer.alloc(32, 2) },
        { id: 'one', secret: Buffer.alloc(32, 1) },
      ]);
      store = await openLevelStore(place.dir, { transformer: both });
      assert.equal((await store.list('')).items.length, 1);
      await store.close();
      rmSync(place.dir, { recursive: true });
    });
  });
});
