/** What an informer's cache and handlers see, whatever happens to its connection. */
import assert from 'node:assert/strict';
import { StatusError } from '../../../src/api/machinery/status.js';
import type { KubeObject } from '../../../src/api/machinery/types.js';
import { Client } from '../../../src/client/client.js';
import { Informer } from '../../../src/client/informer.js';
import { Informers } from '../../../src/client/informers.js';
import { FakeClock, settled } from '../../fixtures/fake-clock.js';
import { gone, listOf, ScriptedTransport, thing, things } from './scripted-transport.js';

describe('Informer', () => {
  let transport: ScriptedTransport;
  let clock: FakeClock;
  let informer: Informer<KubeObject>;
  let log: string[];

  const name = (object: KubeObject) => `${object.metadata.name}@${object.metadata.resourceVersion}`;
  const handlers = {
    added: (object: KubeObject, initial: boolean) =>
      log.push(`${initial ? 'initial' : 'added'} ${name(object)}`),
    updated: (old: KubeObject, object: KubeObject) => log.push(`updated ${name(old)} ${name(object)}`),
    deleted: (last: KubeObject) => log.push(`deleted ${name(last)}`),
  };

  beforeEach(() => {
    transport = new ScriptedTransport();
    clock = new FakeClock();
    log = [];
    informer = new Informer(new Client(transport).of(things), {
      clock,
      random: () => 0,
      indexes: { color: (object) => (object['color'] ? [object['color']] : []) },
    });
    informer.on(handlers);
    transport.answers = [listOf(5, thing('a', 2, { color: 'red' }), thing('b', 3))];
  });
  afterEach(() => informer.close());

  const start = async () => {
    informer.start();
    await informer.synced;
    await settled();
  };

  it('lists, then watches from where the list was', async () => {
    assert.equal(informer.hasSynced, false);
    await start();
    assert.equal(informer.hasSynced, true);
    assert.deepEqual(log, ['initial a@2', 'initial b@3']);
    const { path, query } = transport.lastWatch.request;
    assert.equal(path, '/apis/test/v1/things');
    assert.equal(query?.['resourceVersion'], '5');
    assert.equal(query?.['allowWatchBookmarks'], 'true');
    assert.equal(query?.['timeoutSeconds'], '300');
  });

  it('follows events in order', async () => {
    await start();
    log.length = 0;
    const watch = transport.lastWatch;
    watch.send('ADDED', thing('c', 6));
    watch.send('MODIFIED', thing('c', 7, { color: 'blue' }));
    watch.send('DELETED', thing('a', 8, { color: 'red' }));
    await settled();
    assert.deepEqual(log, ['added c@6', 'updated c@6 c@7', 'deleted a@8']);
    assert.deepEqual(informer.list().map(name), ['b@3', 'c@7']);
    assert.equal(informer.get('default/a'), undefined);
    assert.equal(name(informer.get('default/c')!), 'c@7');
  });

  it('keeps its indexes, also those added later', async () => {
    await start();
    informer.addIndexes({ first: (object) => [object.metadata.name[0]!] });
    assert.deepEqual(informer.byIndex('color', 'red').map(name), ['a@2']);
    const watch = transport.lastWatch;
    watch.send('MODIFIED', thing('a', 6, { color: 'blue' }));
    watch.send('ADDED', thing('aa', 7, { color: 'red' }));
    await settled();
    assert.deepEqual(informer.byIndex('color', 'blue').map(name), ['a@6']);
    assert.deepEqual(informer.byIndex('color', 'red').map(name), ['aa@7']);
    assert.deepEqual(informer.byIndex('first', 'a').map(name), ['a@6', 'aa@7']);
    watch.send('DELETED', thing('a', 8));
    await settled();
    assert.deepEqual(informer.byIndex('color', 'blue'), []);
    assert.throws(() => informer.byIndex('nothing', 'x'), /no index nothing/);
  });

  it('shows the cache as it is after the event when a handler runs', async () => {
    await start();
    const seen: (string | undefined)[] = [];
    informer.on({ updated: () => seen.push(informer.get('default/b')?.metadata.resourceVersion) });
    transport.lastWatch.send('MODIFIED', thing('b', 6));
    await settled();
    assert.deepEqual(seen, ['6']);
  });

  it('resumes from the last event or bookmark when the server ends the watch', async () => {
    await start();
    transport.lastWatch.send('ADDED', thing('c', 6));
    transport.lastWatch.send('BOOKMARK', thing('', 42));
    clock.advance(300_000);
    transport.lastWatch.end();
    await settled();
    assert.equal(transport.watches.length, 2);
    assert.equal(transport.lastWatch.request.query?.['resourceVersion'], '42');
    assert.equal(transport.requests.length, 1, 'it does not list again');
    assert.deepEqual(informer.list().length, 3);
  });

  it('backs off when watches end at once', async () => {
    await start();
    transport.lastWatch.end();
    await settled();
    assert.equal(transport.watches.length, 1);
    await clock.pass(99);
    assert.equal(transport.watches.length, 1);
    await clock.pass(1);
    assert.equal(transport.watches.length, 2);
  });

  it('waits longer with each failure, and starts anew after a success', async () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    transport.answers = [refused];
    informer.start();
    await clock.pass(0);
    const attempts = [transport.requests.length];
    for (const ms of [100, 200, 400, 800]) {
      await clock.pass(ms - 1);
      attempts.push(transport.requests.length);
      await clock.pass(1);
      attempts.push(transport.requests.length);
    }
    assert.deepEqual(attempts, [1, 1, 2, 2, 3, 3, 4, 4, 5]);
    for (let i = 0; i < 10; i++) await clock.pass(30_000);
    const before = transport.requests.length;
    await clock.pass(30_000);
    assert.equal(transport.requests.length, before + 1, 'never more than 30 s');
    transport.answers = [listOf(5)];
    await clock.pass(30_000);
    await informer.synced;
    transport.lastWatch.send('ADDED', thing('c', 6));
    await settled();
    transport.lastWatch.fail(new Error('reset'));
    await clock.pass(100);
    assert.equal(transport.watches.length, 2);
  });

  for (const how of ['event', 'error', 'refusal'] as const)
    it(`lists again when its revision is too old (${how}), and tells of what it missed`, async () => {
      await start();
      log.length = 0;
      const recreated = thing('b', 9);
      transport.answers = [
        listOf(
          10,
          thing('c', 8),
          { ...recreated, metadata: { ...recreated.metadata, uid: 'other' } },
          thing('d', 10),
        ),
      ];
      transport.lastWatch.send('ADDED', thing('d', 6));
      await settled();
      log.length = 0;
      if (how === 'event') transport.lastWatch.send('ERROR', gone().toStatus() as any);
      else if (how === 'error') transport.lastWatch.fail(gone());
      else {
        transport.watchErrors = [gone()];
        transport.lastWatch.fail(new Error('reset'));
        await clock.pass(100);
      }
      await clock.pass(1000);
      assert.deepEqual(log, ['added c@8', 'deleted b@3', 'added b@9', 'updated d@6 d@10', 'deleted a@2']);
      assert.equal(transport.lastWatch.request.query?.['resourceVersion'], '10');
    });

  it('does not tell of what a new list shows unchanged', async () => {
    await start();
    log.length = 0;
    transport.lastWatch.fail(gone());
    await clock.pass(1000);
    assert.equal(transport.requests.length, 2);
    assert.deepEqual(log, []);
  });

  it('tells a late handler what is there, and an unsubscribed one nothing', async () => {
    await start();
    log.length = 0;
    const off = informer.on(handlers);
    assert.deepEqual(log, ['initial a@2', 'initial b@3']);
    off();
    log.length = 0;
    transport.lastWatch.send('ADDED', thing('c', 6));
    await settled();
    assert.deepEqual(log, ['added c@6']);
  });

  it('tells each handler of each object once, also those that come while a long list is told', async () => {
    transport.answers = [listOf(5, ...Array.from({ length: 1200 }, (_, i) => thing(`n${i}`, 1)))];
    const late: string[] = [];
    const first = new Promise<void>((resolve) => {
      informer.on({ added: () => resolve() });
    });
    informer.start();
    await first;
    informer.on({ added: (object) => late.push(object.metadata.name) });
    await informer.synced;
    assert.equal(log.length, 1200);
    assert.equal(late.length, 1200);
    assert.equal(new Set(late).size, 1200);
  });

  it('goes on when a handler throws', async () => {
    informer.on({
      added: () => {
        throw new Error('a bug');
      },
    });
    await start();
    transport.lastWatch.send('ADDED', thing('c', 6));
    await settled();
    assert.deepEqual(log, ['initial a@2', 'initial b@3', 'added c@6']);
  });

  it('is silent after close', async () => {
    await start();
    const watch = transport.lastWatch;
    await informer.close();
    log.length = 0;
    watch.send('ADDED', thing('c', 6));
    await clock.pass(60_000);
    assert.deepEqual(log, []);
    assert.equal(transport.watches.length, 1);
    assert.equal(clock.timers, 0);
  });

  it('tries again after any refusal', async () => {
    transport.answers = [new StatusError(403, 'Forbidden', 'no'), listOf(1)];
    informer.start();
    await clock.pass(200);
    assert.equal(informer.hasSynced, true);
  });
});

describe('Informers', () => {
  it('shares one informer for the same resource and selectors, and merges indexes', async () => {
    const transport = new ScriptedTransport();
    transport.answers = [listOf(1, thing('a', 1))];
    const informers = new Informers(new Client(transport), { clock: new FakeClock() });
    const one = informers.of(things, { indexes: { name: (o) => [o.metadata.name] } });
    const same = informers.of(things, { indexes: { kind: (o) => [o.kind] } });
    const other = informers.of(things, { fieldSelector: 'spec.nodeName=n' });
    assert.equal(one, same);
    assert.notEqual(one, other);
    informers.start();
    await informers.synced();
    assert.equal(one.byIndex('kind', 'Thing').length, 1);
    assert.equal(one.byIndex('name', 'a').length, 1);
    assert.equal(transport.requests.length, 2);
    const late = informers.of(things, { labelSelector: 'a=b' });
    await late.synced;
    assert.equal(transport.requests[2]?.query?.['labelSelector'], 'a=b');
    await informers.close();
  });
});
