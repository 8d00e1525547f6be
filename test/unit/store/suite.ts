/** What every store must do, whatever is under it. */
import assert from 'node:assert/strict';
import type { KubeObject } from '../../../src/api/machinery/types.js';
import {
  ConflictError,
  type Key,
  RevisionError,
  type Store,
  type StoreEvent,
  type Watcher,
} from '../../../src/store/store.js';
import { orderingProperty } from './ordering.js';

/** A store in a place of its own, empty at first. */
export interface Place {
  store: Store;
  /** Closes the store and opens it again with what it had. */
  reopen(): Promise<Store>;
  /** Closes the store and removes the place. */
  remove(): Promise<void>;
}

export function configMap(
  name: string,
  data: Record<string, string> = {},
  namespace = 'default',
): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, uid: `uid-${name}` }, data };
}

export const keyOf = (name: string, namespace = 'default'): Key => `core/configmaps/${namespace}/${name}`;

export const put = (store: Store, name: string, data: Record<string, string> = {}, expected?: number) =>
  store.commit([{ key: keyOf(name), object: configMap(name, data), expected }]).then(([stored]) => stored!);

export const remove = (store: Store, name: string, expected?: number) =>
  store.commit([{ key: keyOf(name), object: null, expected }]).then(([stored]) => stored);

const brief = ({ type, revision, stored }: StoreEvent) =>
  `${type} ${stored.key.split('/').pop()} ${revision}`;

/** Reads until `count` events have come. */
export async function read(watcher: Watcher, count: number): Promise<StoreEvent[]> {
  const events: StoreEvent[] = [];
  while (events.length < count) events.push(...(await watcher.next()));
  return events;
}

export function storeSuite(open: () => Promise<Place>): void {
  let place: Place;
  let store: Store;

  beforeEach(async () => {
    place = await open();
    store = place.store;
  });
  afterEach(() => place.remove());

  describe('commit', () => {
    it('starts at a revision above 0, which means "any" to clients', () => {
      assert.ok(store.revision > 0);
      assert.equal(store.compacted, store.revision);
    });

    it('gives an object its revision, freezes it and encodes it', async () => {
      const before = store.revision;
      const stored = await put(store, 'a', { x: '1' });
      assert.equal(stored.revision, before + 1);
      assert.equal(store.revision, before + 1);
      assert.equal(stored.object.metadata.resourceVersion, String(before + 1));
      assert.deepEqual(JSON.parse(stored.json.toString()), stored.object);
      assert.ok(Object.isFrozen(stored.object) && Object.isFrozen(stored.object.metadata));
      assert.ok(Object.isFrozen(stored.object['data']));
      assert.equal(store.get(keyOf('a')), stored);
    });

    it('leaves the resourceVersion of the object it was given alone', async () => {
      const object = configMap('a');
      object.metadata.resourceVersion = '7';
      await store.commit([{ key: keyOf('a'), object }]);
      assert.equal(object.metadata.resourceVersion, '7');
    });

    it('compares and swaps', async () => {
      const first = await put(store, 'a', {}, 0);
      const rejects = (expected: number) =>
        assert.rejects(
          put(store, 'a', {}, expected),
          (error) =>
            error instanceof ConflictError && error.key === keyOf('a') && error.actual === first.revision,
        );
      await rejects(0);
      await rejects(first.revision - 1);
      await rejects(first.revision + 1);
      const second = await put(store, 'a', {}, first.revision);
      assert.equal(second.revision, first.revision + 1);
      await assert.rejects(put(store, 'b', {}, second.revision), ConflictError);
      await assert.rejects(remove(store, 'b', second.revision), ConflictError);
      assert.equal(store.revision, second.revision);
    });

    it('writes all of a commit at one revision, or nothing', async () => {
      await put(store, 'taken');
      const { revision } = store;
      const writes = (expected: number) => [
        { key: keyOf('a'), object: configMap('a') },
        { key: keyOf('taken'), object: configMap('taken'), expected },
        { key: keyOf('b'), object: configMap('b') },
      ];
      await assert.rejects(store.commit(writes(0)), ConflictError);
      assert.equal(store.get(keyOf('a')), undefined);
      assert.equal(store.revision, revision);
      const stored = await store.commit(writes(revision));
      assert.deepEqual(
        stored.map((s) => s?.revision),
        [revision + 1, revision + 1, revision + 1],
      );
    });

    it('refuses two writes of one key in a commit', async () => {
      const write = { key: keyOf('a'), object: configMap('a') };
      await assert.rejects(store.commit([write, write]), /the same key twice/);
    });

    it('refuses what is no JSON, and goes on', async () => {
      const object = configMap('a');
      object['data'] = { self: object };
      const others = [
        put(store, 'b'),
        assert.rejects(store.commit([{ key: keyOf('a'), object }])),
        put(store, 'c'),
      ];
      await Promise.all(others);
      assert.equal((await store.list('core/')).items.length, 2);
    });

    it('deletes, with a last version at the revision of the delete', async () => {
      const { revision } = await put(store, 'a', { x: '1' });
      const last = await remove(store, 'a', revision);
      assert.equal(last?.revision, revision + 1);
      assert.equal(last?.object.metadata.resourceVersion, String(revision + 1));
      assert.deepEqual(last?.object['data'], { x: '1' });
      assert.equal(store.get(keyOf('a')), undefined);
    });

    it('tells watchers of the last version that a delete gives', async () => {
      const { revision } = await put(store, 'a');
      await store.commit([{ key: keyOf('a'), object: null, last: configMap('a', { final: 'yes' }) }]);
      const [event] = await read(store.watch('core/configmaps/', revision), 1);
      assert.equal(event?.type, 'DELETED');
      assert.deepEqual(event?.stored.object['data'], { final: 'yes' });
      assert.equal(event?.previous?.revision, revision);
    });

    it('takes no revision for a delete of what is not there', async () => {
      const { revision } = store;
      assert.equal(await remove(store, 'a'), undefined);
      assert.equal(store.revision, revision);
    });

    it('gives parallel commits revisions in their order, and shows each before it is acknowledged', async () => {
      const { revision } = store;
      const acknowledged: number[] = [];
      const commits = Array.from({ length: 100 }, async (_, i) => {
        const stored = await put(store, `n${i}`);
        assert.equal(store.get(keyOf(`n${i}`)), stored);
        assert.ok(store.revision >= stored.revision);
        acknowledged.push(stored.revision);
      });
      await Promise.all(commits);
      assert.deepEqual(
        acknowledged,
        Array.from({ length: 100 }, (_, i) => revision + 1 + i),
      );
    });

    it('judges parallel commits of one key one after the other', async () => {
      const results = await Promise.allSettled(Array.from({ length: 5 }, () => put(store, 'a', {}, 0)));
      assert.deepEqual(
        results.map((r) => r.status),
        ['fulfilled', 'rejected', 'rejected', 'rejected', 'rejected'],
      );
    });

    it('tells of a lost race only when the winner can be read, so that retries get on', async () => {
      await put(store, 'counter', { n: '0' });
      let attempts = 0;
      const increment = async () => {
        for (;;) {
          attempts++;
          const { object, revision } = store.get(keyOf('counter'))!;
          try {
            return await put(store, 'counter', { n: String(Number(object['data'].n) + 1) }, revision);
          } catch (error) {
            assert.ok(error instanceof ConflictError);
            assert.equal(store.get(keyOf('counter'))!.revision, error.actual);
          }
        }
      };
      await Promise.all(Array.from({ length: 20 }, increment));
      assert.equal(store.get(keyOf('counter'))!.object['data'].n, '20');
      assert.ok(attempts <= 210, `${attempts} attempts`);
    });
  });

  describe('list', () => {
    beforeEach(async () => {
      for (const name of ['c', 'a', 'e', 'b', 'd']) await put(store, name);
      await store.commit([{ key: keyOf('a', 'other'), object: configMap('a', {}, 'other') }]);
      await store.commit([{ key: 'core/configmapsets//x', object: configMap('x') }]);
      await store.commit([{ key: 'apps/deployments/default/x', object: configMap('x') }]);
    });
    const keys = async (prefix: string, options = {}) =>
      (await store.list(prefix, options)).items.map((s) => s.key.split('/').slice(2).join('/'));

    it('is in the order of keys', async () => {
      const { items, revision, remaining } = await store.list('core/configmaps/default/');
      assert.deepEqual(
        items.map((s) => s.object.metadata.name),
        ['a', 'b', 'c', 'd', 'e'],
      );
      assert.deepEqual([revision, remaining], [store.revision, 0]);
    });

    it('takes any prefix', async () => {
      assert.equal((await keys('core/configmaps/')).length, 6);
      assert.deepEqual(await keys('core/configmaps/other/'), ['other/a']);
      assert.deepEqual(await keys('core/configmapsets/'), ['/x']);
      assert.deepEqual(await keys('apps/'), ['default/x']);
      assert.equal((await keys('')).length, 8);
      assert.deepEqual(await keys('core/nothing/'), []);
    });

    it('comes in pages', async () => {
      const prefix = 'core/configmaps/default/';
      const first = await store.list(prefix, { limit: 2 });
      assert.deepEqual([first.items.length, first.remaining], [2, 3]);
      const second = await store.list(prefix, { limit: 2, after: first.items[1]!.key });
      assert.deepEqual(
        second.items.map((s) => s.object.metadata.name),
        ['c', 'd'],
      );
      assert.equal(second.remaining, 1);
      const after = (await store.list(prefix, { after: keyOf('bb') })).items[0]!;
      assert.equal(after.object.metadata.name, 'c');
      assert.deepEqual((await store.list(prefix, { after: keyOf('e') })).items, []);
    });

    it('shows an older revision, page by page', async () => {
      const { revision } = store;
      await remove(store, 'b');
      await put(store, 'bb');
      await put(store, 'c', { changed: 'yes' });
      await remove(store, 'c');
      const names = async (options: object) =>
        (await store.list('core/configmaps/default/', options)).items.map((s) => s.object.metadata.name);
      assert.deepEqual(await names({}), ['a', 'bb', 'd', 'e']);
      assert.deepEqual(await names({ revision: revision + 1 }), ['a', 'c', 'd', 'e']);
      const page = await store.list('core/configmaps/default/', { revision, limit: 2, after: keyOf('a') });
      assert.deepEqual(
        page.items.map((s) => s.object.metadata.name),
        ['b', 'c'],
      );
      assert.deepEqual([page.revision, page.remaining], [revision, 2]);
      assert.deepEqual(page.items[1]!.object['data'], {});
    });

    it('refuses revisions that are not there', async () => {
      const kind = (expected: string) => (error: unknown) =>
        error instanceof RevisionError && error.kind === expected;
      await assert.rejects(store.list('core/', { revision: store.revision + 1 }), kind('future'));
      await assert.rejects(store.list('core/', { revision: store.compacted - 1 }), kind('compacted'));
    });
  });

  describe('watch', () => {
    it('tells what happened after a revision, and then what happens', async () => {
      const start = store.revision;
      await put(store, 'a');
      await put(store, 'a');
      const watcher = store.watch('core/configmaps/', start);
      assert.deepEqual((await read(watcher, 2)).map(brief), [
        `ADDED a ${start + 1}`,
        `MODIFIED a ${start + 2}`,
      ]);
      assert.equal(watcher.revision, start + 2);
      const next = watcher.next();
      await remove(store, 'a');
      assert.deepEqual((await next).map(brief), [`DELETED a ${start + 3}`]);
      watcher.close();
    });

    it('tells the version before', async () => {
      const start = store.revision;
      await put(store, 'a', { x: '1' });
      await put(store, 'a', { x: '2' });
      const events = await read(store.watch('core/configmaps/', start), 2);
      assert.equal(events[0]!.previous, undefined);
      assert.deepEqual(events[1]!.previous?.object['data'], { x: '1' });
    });

    it('hears of its prefix only, and still knows how far it is', async () => {
      const watcher = store.watch('core/configmaps/other/', store.revision);
      const next = watcher.next();
      await put(store, 'a');
      await store.commit([{ key: 'core/pods/other/p', object: configMap('p') }]);
      assert.equal(watcher.revision, store.revision);
      await store.commit([{ key: keyOf('b', 'other'), object: configMap('b', {}, 'other') }]);
      assert.deepEqual(
        (await next).map((e) => e.stored.key),
        [keyOf('b', 'other')],
      );
      assert.equal(watcher.revision, store.revision);
      watcher.close();
    });

    it('hears of all resources with an empty prefix', async () => {
      const watcher = store.watch('', store.revision);
      await put(store, 'a');
      await store.commit([{ key: 'apps/deployments/default/x', object: configMap('x') }]);
      assert.equal((await read(watcher, 2)).length, 2);
      watcher.close();
    });

    it('reads all of a commit at once', async () => {
      const writes = Array.from({ length: 600 }, (_, i) => ({
        key: keyOf(`n${i}`),
        object: configMap(`n${i}`),
      }));
      const watcher = store.watch('core/configmaps/', store.revision);
      await put(store, 'first');
      await store.commit(writes);
      const events = await watcher.next();
      assert.ok(events.length === 1 || events.length === 601);
      if (events.length === 1) assert.equal((await watcher.next()).length, 600);
      watcher.close();
    });

    it('ends its wait when told to', async () => {
      const watcher = store.watch('core/configmaps/', store.revision);
      const abort = new AbortController();
      const aborted = watcher.next(abort.signal);
      abort.abort();
      assert.deepEqual(await aborted, []);
      const closed = watcher.next();
      watcher.close();
      assert.deepEqual(await closed, []);
    });

    it('fails when the store is closed', async () => {
      const watcher = store.watch('core/configmaps/', store.revision);
      const next = assert.rejects(watcher.next(), /closed/);
      await store.close();
      await next;
      await assert.rejects(put(store, 'a'), /closed/);
    });

    it('refuses revisions that are not there', async () => {
      assert.throws(() => store.watch('core/', store.revision + 1), /newer/);
      assert.throws(() => store.watch('core/', store.compacted - 1), /older/);
    });
  });

  describe('compaction', () => {
    it('forgets what was before, and keeps the newest', async () => {
      const start = store.revision;
      await put(store, 'a', { x: '1' });
      await put(store, 'gone');
      await remove(store, 'gone');
      const { revision } = await put(store, 'a', { x: '2' });
      await put(store, 'a', { x: '3' });
      const slow = store.watch('core/configmaps/', start);
      await store.compact(revision);
      assert.equal(store.compacted, revision);
      await assert.rejects(slow.next(), (e) => e instanceof RevisionError && e.kind === 'compacted');
      assert.throws(() => store.watch('core/', revision - 1), RevisionError);
      assert.equal((await read(store.watch('core/', revision), 1)).length, 1);
      assert.deepEqual((await store.list('', { revision })).items[0]!.object['data'], { x: '2' });
      store = await place.reopen();
      assert.equal(store.compacted, revision);
      assert.throws(() => store.watch('core/', revision - 1), RevisionError);
      assert.deepEqual((await store.list('', { revision })).items[0]!.object['data'], { x: '2' });
      assert.deepEqual(
        (await store.list('')).items.map((s) => s.object['data']),
        [{ x: '3' }],
      );
    });

    it('does not harm a watcher that is up to date', async () => {
      const watcher = store.watch('core/configmaps/', store.revision);
      await put(store, 'a');
      await read(watcher, 1);
      const next = watcher.next();
      await store.compact(store.revision);
      await put(store, 'b');
      assert.equal((await next).length, 1);
      watcher.close();
    });

    it('does not give a revision twice after all was deleted and compacted', async () => {
      await put(store, 'a');
      await remove(store, 'a');
      const { revision } = store;
      await store.compact(revision);
      store = await place.reopen();
      assert.equal(store.revision, revision);
      assert.equal((await put(store, 'a')).revision, revision + 1);
    });
  });

  describe('opened again', () => {
    it('has everything, and resumes watches from before', async () => {
      const start = store.revision;
      const a = await put(store, 'a', { x: 'ä' });
      await put(store, 'b');
      await remove(store, 'b');
      await store.commit([
        { key: keyOf('c'), object: configMap('c') },
        { key: keyOf('a'), object: null, last: configMap('a', { final: 'yes' }) },
      ]);
      const { revision } = store;
      store = await place.reopen();
      assert.equal(store.revision, revision);
      assert.equal(store.get(keyOf('a')), undefined);
      assert.deepEqual((await store.list('', { revision: a.revision })).items[0]!.object, a.object);
      const events = await read(store.watch('core/configmaps/', start), 5);
      assert.deepEqual(events.map(brief), [
        `ADDED a ${start + 1}`,
        `ADDED b ${start + 2}`,
        `DELETED b ${start + 3}`,
        `ADDED c ${start + 4}`,
        `DELETED a ${start + 4}`,
      ]);
      assert.deepEqual(events[4]!.stored.object['data'], { final: 'yes' });
      assert.ok(Object.isFrozen(events[4]!.stored.object));
      assert.equal((await put(store, 'd')).revision, revision + 1);
    });
  });

  orderingProperty(open);
}
