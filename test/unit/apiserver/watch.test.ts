import assert from 'node:assert/strict';
import type { Resource } from '../../../src/api/resources/define.js';
import { configMaps } from '../../../src/api/resources/index.js';
import { compileFilter } from '../../../src/apiserver/handlers/filter.js';
import { toMessage } from '../../../src/apiserver/handlers/watch.js';
import { ADMIN, configMap, type Harness, startHarness, take } from './harness.js';

describe('apiserver: watch', () => {
  let h: Harness;
  beforeEach(async () => {
    h = await startHarness();
  });
  afterEach(() => h.close());

  it('resumes from a revision and tells each change once', async () => {
    const of = h.of('configmaps');
    const { metadata } = await of.list();
    await of.create(configMap('a'));
    await of.patch('default', 'a', { data: { b: '2' } }, { type: 'merge' });
    await of.delete('default', 'a', {});
    const events = await take(of.watch({ resourceVersion: metadata.resourceVersion }), 3);
    assert.deepEqual(
      events.map((e) => e.type),
      ['ADDED', 'MODIFIED', 'DELETED'],
    );
    const revisions = events.map((e) => Number(e.object.metadata.resourceVersion));
    assert.deepEqual(
      revisions,
      [...revisions].sort((x, y) => x - y),
    );
  });

  it('adds and removes what comes into and leaves a selector', async () => {
    const of = h.of('configmaps');
    const { metadata } = await of.list();
    const events = take(of.watch({ resourceVersion: metadata.resourceVersion, labelSelector: 'in=yes' }), 3);
    await of.create(configMap('a'));
    await of.patch('default', 'a', { metadata: { labels: { in: 'yes' } } }, { type: 'merge' });
    await of.patch('default', 'a', { data: { x: 'y' } }, { type: 'merge' });
    const left = await of.patch('default', 'a', { metadata: { labels: { in: 'no' } } }, { type: 'merge' });
    const seen = await events;
    assert.deepEqual(
      seen.map((e) => e.type),
      ['ADDED', 'MODIFIED', 'DELETED'],
    );
    assert.equal(seen[2]!.object.metadata.labels!['in'], 'yes', 'a view shows what it knew last');
    assert.equal(seen[2]!.object.metadata.resourceVersion, left.metadata.resourceVersion);
  });

  it('begins with what there is, and marks its end when asked to', async () => {
    const of = h.of('configmaps');
    await of.create(configMap('a'));
    await of.create(configMap('b'));
    assert.deepEqual(
      (await take(of.watch({ namespace: 'default' }), 2)).map((e) => e.type + e.name),
      ['ADDEDa', 'ADDEDb'],
    );
    const query = {
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
    };
    const path = '/api/v1/namespaces/default/configmaps';
    const events = await take(h.server.transport(ADMIN).watch({ method: 'GET', path, query }), 3);
    assert.equal(events[2]!.type, 'BOOKMARK');
    assert.equal(events[2]!.object.metadata.annotations!['k8s.io/initial-events-end'], 'true');
    assert.equal(events[2]!.object.kind, 'ConfigMap');
    await assert.rejects(
      take(
        h.server
          .transport(ADMIN)
          .watch({ method: 'GET', path, query: { ...query, resourceVersionMatch: '' } }),
        1,
      ),
      (error: any) =>
        error.code === 422 &&
        /sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/.test(error.message),
    );
  });

  it('sends a last bookmark before its time is over', async () => {
    const query = {
      allowWatchBookmarks: 'true',
      timeoutSeconds: '3',
      resourceVersion: String(h.store.revision),
    };
    const path = '/api/v1/namespaces/default/configmaps';
    const [last] = await take(h.server.transport(ADMIN).watch({ method: 'GET', path, query }), 1);
    assert.equal(last?.type, 'BOOKMARK');
  });

  it('says Expired where the window is past', async () => {
    const of = h.of('configmaps');
    await of.create(configMap('a'));
    for (let i = 0; i < 3; i++) await of.patch('default', 'a', { data: { i: String(i) } }, { type: 'merge' });
    await h.store.compact(h.store.revision);
    await assert.rejects(take(of.watch({ resourceVersion: '1' }), 1), (error: any) => {
      assert.equal(error.code, 410);
      assert.match(error.message, /^too old resource version: 1 \(\d+\)$/);
      return true;
    });
  });

  it('ends at timeoutSeconds, at abort, and when the server closes', async () => {
    const of = h.of('configmaps');
    const { resourceVersion } = (await of.list()).metadata;
    assert.deepEqual(await take(of.watch({ resourceVersion, timeoutSeconds: 1 }), 1), []);
    const abort = new AbortController();
    const aborted = take(of.watch({ resourceVersion, signal: abort.signal }), 1);
    setImmediate(() => abort.abort());
    assert.deepEqual(await aborted, []);
    const closed = take(of.watch({ resourceVersion }), 1);
    setImmediate(() => void h.server.close());
    assert.deepEqual(await closed, []);
  });

  it('does not copy: in-process watchers share the frozen object', async () => {
    const of = h.of('configmaps');
    const { resourceVersion } = (await of.list()).metadata;
    const both = [1, 2].map(() => take(of.watch({ resourceVersion }), 1));
    await of.create(configMap('a'));
    const [[first], [second]] = (await Promise.all(both)) as any;
    assert.equal(first.object, second.object);
    assert.ok(Object.isFrozen(first.object.data));
  });
});

describe('apiserver: what a filtered view makes of an event', () => {
  const object = (label: string | undefined) =>
    ({ object: configMap('a', { metadata: { labels: label ? { l: label } : {} } }) }) as any;
  const filter = compileFilter(configMaps as Resource<any>, 'l=1', '');
  for (const [type, before, after, expected] of [
    ['ADDED', undefined, '1', 'ADDED'],
    ['ADDED', undefined, '2', undefined],
    ['MODIFIED', '2', '1', 'ADDED'],
    ['MODIFIED', '1', '1', 'MODIFIED'],
    ['MODIFIED', '1', '2', 'DELETED'],
    ['MODIFIED', '2', '3', undefined],
    ['DELETED', '1', '1', 'DELETED'],
    ['DELETED', '2', '2', undefined],
  ] as const) {
    it(`${type} from ${before} to ${after}: ${expected ?? 'nothing'}`, () => {
      const previous = before === undefined ? undefined : object(before);
      const message = toMessage({ type, revision: 5, stored: object(after), previous }, filter);
      assert.equal(message?.type, expected);
    });
  }
});
