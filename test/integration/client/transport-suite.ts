/** What every way to the API server must do, seen through the typed client. */
import assert from 'node:assert/strict';
import type { ConfigMap, Event } from '#types';
import { StatusError } from '../../../src/api/machinery/status.js';
import type { KubeObject, WatchEvent } from '../../../src/api/machinery/types.js';
import { configMaps, events, pods, serviceAccounts } from '../../../src/api/resources/index.js';
import {
  Client,
  EventRecorder,
  Informer,
  retryOnConflict,
  type Transport,
  type WatchOptions,
} from '../../../src/client/index.js';
import type { Store } from '../../../src/store/store.js';

export interface Served {
  /** As a user who may do everything. */
  transport: Transport;
  /** As one who may do nothing. */
  powerless: Transport;
  /** What the API server keeps its objects in. */
  store: Store;
  close(): Promise<void>;
}

export function transportSuite(serve: () => Promise<Served>): void {
  let served: Served;
  let client: Client;
  const maps = () => client.of<ConfigMap>(configMaps);

  before(async () => {
    served = await serve();
    client = new Client(served.transport);
    await client.of(serviceAccounts).create({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: 'default' },
    });
  });
  after(() => served.close());
  afterEach(() => maps().deleteCollection({ namespace: 'default', labelSelector: 'test' }));

  const configMap = (
    name: string,
    data: Record<string, string> = {},
    labels: Record<string, string> = {},
  ) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default', labels: { test: 'yes', ...labels } },
    data,
  });
  const status = (code: number, reason: string, message?: RegExp) => (error: unknown) => {
    assert.ok(error instanceof StatusError, String(error));
    assert.deepEqual([error.code, error.reason], [code, reason]);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  };

  it('creates, reads, updates and deletes', async () => {
    const created = await maps().create(configMap('a', { x: '1' }));
    assert.ok(created.metadata.uid && created.metadata.resourceVersion && created.metadata.creationTimestamp);
    assert.ok(Object.isFrozen(created) && Object.isFrozen(created.metadata));
    assert.deepEqual(await maps().get('default', 'a'), created);
    const updated = await maps().update({ ...created, data: { x: '2' } });
    assert.ok(Number(updated.metadata.resourceVersion) > Number(created.metadata.resourceVersion));
    await maps().delete('default', 'a');
    await assert.rejects(maps().get('default', 'a'), status(404, 'NotFound', /configmaps "a" not found/));
  });

  it('rejects with the reason that the server gives', async () => {
    const created = await maps().create(configMap('a'));
    await assert.rejects(maps().create(configMap('a')), status(409, 'AlreadyExists', /"a" already exists/));
    await maps().update({ ...created, data: { x: '1' } });
    await assert.rejects(maps().update({ ...created, data: { x: '2' } }), status(409, 'Conflict'));
    await assert.rejects(maps().create(configMap('Not a name')), status(422, 'Invalid', /metadata.name/));
    await assert.rejects(maps().delete('default', 'nothing'), status(404, 'NotFound'));
    await assert.rejects(
      maps().delete('default', 'a', { preconditions: { uid: 'other' } }),
      status(409, 'Conflict', /the UID in the precondition \(other\) does not match/),
    );
    const powerless = new Client(served.powerless);
    await assert.rejects(
      powerless.of(configMaps).get('default', 'a'),
      status(403, 'Forbidden', /cannot get resource/),
    );
  });

  it('lists by selectors, and in pages of one revision', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      await maps().create(configMap(name, {}, { odd: String('ace'.includes(name)) }));
    const names = (list: { items: ConfigMap[] }) => list.items.map((item) => item.metadata.name);
    const odd = await maps().list({ namespace: 'default', labelSelector: 'odd=true' });
    assert.deepEqual(names(odd), ['a', 'c', 'e']);
    assert.equal(odd.items[0]!.kind, 'ConfigMap');
    const one = await maps().list({ namespace: 'default', fieldSelector: 'metadata.name=b' });
    assert.deepEqual(names(one), ['b']);
    const selection = { namespace: 'default', labelSelector: 'test', limit: 2 };
    const first = await maps().list(selection);
    await maps().delete('default', 'c');
    await maps().create(configMap('cc'));
    const second = await maps().list({ ...selection, continue: first.metadata.continue });
    const third = await maps().list({ ...selection, continue: second.metadata.continue });
    assert.deepEqual([first, second, third].map(names), [['a', 'b'], ['c', 'd'], ['e']]);
    assert.equal(third.metadata.continue, undefined);
  });

  it('patches in three ways', async () => {
    await maps().create(configMap('a', { x: '1', y: '2' }));
    const patch = (body: unknown, type: 'merge' | 'json' | 'strategic') =>
      maps().patch('default', 'a', body, { type });
    assert.deepEqual((await patch({ data: { x: null, z: '3' } }, 'merge')).data, { y: '2', z: '3' });
    const operations = [{ op: 'replace', path: '/data/y', value: '9' }];
    assert.deepEqual((await patch(operations, 'json')).data, { y: '9', z: '3' });
    assert.deepEqual((await patch({ data: { $patch: 'replace', q: '1' } }, 'strategic')).data, { q: '1' });
  });

  it('changes nothing in a dry run', async () => {
    const dry = await maps().create(configMap('a'), { dryRun: true });
    assert.equal(dry.metadata.name, 'a');
    await assert.rejects(maps().get('default', 'a'), status(404, 'NotFound'));
  });

  it('writes the status of its own subresource only', async () => {
    const container = { name: 'c', image: 'busybox' };
    const pod = await client.of<KubeObject>(pods as any).create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default' },
      spec: { containers: [container] },
    });
    const changed = {
      ...pod,
      status: { phase: 'Running' },
      metadata: { ...pod.metadata, labels: { a: 'b' } },
    };
    const updated = await client.of<KubeObject>(pods as any).updateStatus(changed);
    assert.equal(updated['status'].phase, 'Running');
    assert.equal(updated['spec'].containers.length, 1);
    await client.of(pods).delete('default', 'p', { gracePeriodSeconds: 0 });
    await assert.rejects(client.of(pods).get('default', 'p'), status(404, 'NotFound'));
  });

  describe('watch', () => {
    const follow = (options: WatchOptions = {}) => {
      const abort = new AbortController();
      const seen: WatchEvent<ConfigMap>[] = [];
      const run = async () => {
        for await (const event of maps().watch({ namespace: 'default', ...options, signal: abort.signal }))
          seen.push(event);
      };
      const ended = run();
      ended.catch(() => undefined);
      const until = async (count: number) => {
        for (let i = 0; seen.length < count && i < 200; i++)
          await new Promise((resolve) => setTimeout(resolve, 10));
        return seen.map((event) => `${event.type} ${event.object.metadata.name}`);
      };
      return { seen, ended, until, stop: () => abort.abort() };
    };

    it('tells what happens after a list, in order, until it is told to end', async () => {
      const { metadata } = await maps().list({ namespace: 'default' });
      const created = await maps().create(configMap('a'));
      const watch = follow({ resourceVersion: metadata.resourceVersion });
      await maps().update({ ...created, data: { x: '1' } });
      await maps().delete('default', 'a');
      assert.deepEqual(await watch.until(3), ['ADDED a', 'MODIFIED a', 'DELETED a']);
      const revisions = watch.seen.map((event) => Number(event.object.metadata.resourceVersion));
      assert.deepEqual(
        revisions,
        [...revisions].sort((a, b) => a - b),
      );
      assert.equal(new Set(revisions).size, 3);
      watch.stop();
      await watch.ended;
    });

    it('tells what comes into a selection and what leaves it', async () => {
      const { metadata } = await maps().list({ namespace: 'default' });
      const watch = follow({ resourceVersion: metadata.resourceVersion, labelSelector: 'color=red' });
      const blue = await maps().create(configMap('a', {}, { color: 'blue' }));
      const labels = (color: string) => ({
        ...blue.metadata,
        resourceVersion: undefined,
        labels: { test: '', color },
      });
      await maps().update({ ...blue, metadata: labels('red') });
      await maps().update({ ...blue, metadata: labels('red'), data: { x: '1' } });
      await maps().update({ ...blue, metadata: labels('blue') });
      assert.deepEqual(await watch.until(3), ['ADDED a', 'MODIFIED a', 'DELETED a']);
      watch.stop();
      await watch.ended;
    });

    it('is refused with 410 when its revision is too old', async () => {
      const { metadata } = await maps().list({ namespace: 'default' });
      await maps().create(configMap('a'));
      await maps().create(configMap('b'));
      await served.store.compact(served.store.revision);
      await assert.rejects(
        follow({ resourceVersion: metadata.resourceVersion }).ended,
        status(410, 'Expired'),
      );
    });

    it('is ended by the server after the time asked for', async () => {
      const watch = follow({ timeoutSeconds: 1 });
      await watch.ended;
      assert.deepEqual(watch.seen, []);
    });
  });

  it('lets many update one object, each with the state before it', async () => {
    await maps().create(configMap('counter', { n: '0' }));
    const increment = () =>
      retryOnConflict(async () => {
        const counter = await maps().get('default', 'counter');
        await maps().update({ ...counter, data: { n: String(Number(counter.data!['n']) + 1) } });
      });
    // Who loses does so to another that wins: the five tries of each are enough for five.
    await Promise.all(Array.from({ length: 5 }, increment));
    assert.equal((await maps().get('default', 'counter')).data!['n'], '5');
  });

  it('keeps an informer equal to the store, also across a compaction', async () => {
    const informer = new Informer(maps(), { namespace: 'default', labelSelector: 'test' });
    const known = new Map<string, string>();
    const note = (object: ConfigMap) => known.set(object.metadata.name, object.metadata.resourceVersion!);
    informer.on({
      added: note,
      updated: (_, object) => note(object),
      deleted: (o) => known.delete(o.metadata.name),
    });
    informer.start();
    await informer.synced;
    const name = (i: number) => `n${i % 20}`;
    for (let i = 0; i < 100; i++) {
      if (i % 7 === 6)
        await maps()
          .delete('default', name(i))
          .catch(() => undefined);
      else
        await maps()
          .create(configMap(name(i)))
          .catch(() => maps().patch('default', name(i), { data: { i: String(i) } }, { type: 'merge' }));
      if (i % 40 === 39) await served.store.compact(served.store.revision);
    }
    const { items } = await maps().list({ namespace: 'default', labelSelector: 'test' });
    const expected = items.map((item) => [item.metadata.name, item.metadata.resourceVersion]).sort();
    const last = await maps().create(configMap('z-last'));
    for (let i = 0; i < 300 && known.get('z-last') === undefined; i++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual([...known].sort(), [...expected, ['z-last', last.metadata.resourceVersion]]);
    assert.deepEqual(
      informer
        .list()
        .map((o) => o.metadata.name)
        .sort(),
      [...known.keys()].sort(),
    );
    await informer.close();
  });

  it('records Events, and counts their repeats', async () => {
    const created = await maps().create(configMap('a'));
    const recorder = new EventRecorder(client, { component: 'tester' });
    for (let i = 0; i < 3; i++) recorder.event(created, 'Warning', 'Tested', 'it was tested');
    await recorder.flush();
    const { items } = await client.of<Event>(events).list({
      namespace: 'default',
      fieldSelector: `involvedObject.uid=${created.metadata.uid}`,
    });
    assert.deepEqual(
      items.map((e) => [e.reason, e.count, e.type, e.source?.component]),
      [['Tested', 3, 'Warning', 'tester']],
    );
    await recorder.close();
  });
}
