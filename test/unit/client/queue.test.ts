/** The work queue and its workers. */
import assert from 'node:assert/strict';
import { clientMeasures } from '../../../src/client/measures.js';
import { WorkQueue } from '../../../src/client/queue.js';
import { runWorkers } from '../../../src/client/workers.js';
import { FakeClock, settled } from '../../fixtures/fake-clock.js';

describe('WorkQueue', () => {
  let clock: FakeClock;
  let queue: WorkQueue;
  beforeEach(() => {
    clock = new FakeClock();
    queue = new WorkQueue({ clock });
  });

  it('is measured under its name', async () => {
    const named = new WorkQueue({ clock, name: 'measured' });
    const lines = () => clientMeasures().filter((line) => line.includes('{name="measured"'));
    for (const key of ['a', 'b', 'a']) named.add(key);
    await named.next();
    named.addRateLimited('a');
    const of = (metric: string) =>
      lines()
        .find((line) => line.startsWith(`${metric}{`))
        ?.split(' ')[1];
    assert.deepEqual(
      ['adds_total', 'depth', 'retries_total', 'queue_duration_seconds_count'].map((m) =>
        of(`workqueue_${m}`),
      ),
      ['2', '1', '1', '1'],
    );
    assert.ok(Number(of('workqueue_unfinished_work_seconds')) > 0);
    named.done('a');
    assert.equal(of('workqueue_work_duration_seconds_count'), '1');
    assert.equal(of('workqueue_unfinished_work_seconds'), '0');
    named.close();
    assert.equal(of('workqueue_depth'), undefined);
  });

  it('hands out each key once, in order', async () => {
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    assert.equal(queue.length, 3);
    assert.deepEqual([await queue.next(), await queue.next(), await queue.next()], ['a', 'b', 'c']);
    assert.equal(queue.length, 0);
  });

  it('does not hand out a key while it is processed, but again after', async () => {
    queue.add('a');
    await queue.next();
    queue.add('a');
    queue.add('a');
    assert.equal(queue.length, 0);
    queue.done('a');
    assert.equal(queue.length, 1);
    assert.equal(await queue.next(), 'a');
    queue.done('a');
    assert.equal(queue.length, 0);
  });

  it('wakes those that wait, one for each key', async () => {
    const first = queue.next();
    const second = queue.next();
    queue.add('a');
    queue.add('a');
    queue.add('b');
    assert.deepEqual([await first, await second], ['a', 'b']);
  });

  it('adds later, at the earliest of several times', async () => {
    queue.addAfter('a', 100);
    queue.addAfter('a', 50);
    queue.addAfter('a', 200);
    queue.addAfter('now', 0);
    assert.equal(await queue.next(), 'now');
    clock.advance(49);
    assert.equal(queue.length, 0);
    clock.advance(1);
    assert.equal(queue.length, 1);
    queue.done(await queue.next().then((key) => key!));
    clock.advance(1000);
    assert.equal(queue.length, 0);
  });

  it('doubles the delay of a key until it is forgotten', async () => {
    const delays: number[] = [];
    const failOnce = async () => {
      const start = clock.now();
      queue.addRateLimited('a');
      while (queue.length === 0) clock.advance(5);
      delays.push(clock.now() - start);
      queue.done((await queue.next())!);
    };
    for (let i = 0; i < 5; i++) await failOnce();
    assert.equal(queue.requeues('a'), 5);
    queue.forget('a');
    await failOnce();
    assert.deepEqual(delays, [5, 10, 20, 40, 80, 5]);
  });

  it('never delays longer than 1000 s', async () => {
    for (let i = 0; i < 20; i++) {
      queue.addRateLimited('a');
      clock.advance(1_000_000);
      queue.done((await queue.next())!);
    }
    queue.addRateLimited('a');
    clock.advance(999_999);
    assert.equal(queue.length, 0);
    clock.advance(1);
    assert.equal(queue.length, 1);
  });

  it('keeps its order when it is long', async () => {
    for (let i = 0; i < 5000; i++) queue.add(`k${i}`);
    for (let i = 0; i < 5000; i++) assert.equal(await queue.next(), `k${i}`);
  });

  it('hands out the rest when it is closed, and then nothing', async () => {
    queue.add('a');
    queue.addAfter('b', 10);
    queue.close();
    queue.add('c');
    clock.advance(100);
    assert.deepEqual([await queue.next(), await queue.next()], ['a', undefined]);
    assert.equal(clock.timers, 0);
  });

  it('ends all waits when it is closed', async () => {
    const waits = [queue.next(), queue.next()];
    queue.close();
    assert.deepEqual(await Promise.all(waits), [undefined, undefined]);
  });
});

describe('runWorkers', () => {
  it('never works on a key twice at a time, however many workers there are', async () => {
    const queue = new WorkQueue();
    const abort = new AbortController();
    const running = new Set<string>();
    let most = 0;
    let count = 0;
    const reconcile = async (key: string) => {
      assert.ok(!running.has(key));
      running.add(key);
      most = Math.max(most, running.size);
      await settled();
      running.delete(key);
      count++;
    };
    const done = runWorkers(queue, 3, reconcile, { signal: abort.signal });
    for (let i = 0; i < 10; i++) {
      for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
      await settled();
    }
    while (running.size > 0 || queue.length > 0) await settled();
    abort.abort();
    await done;
    assert.equal(most, 3);
    assert.ok(count >= 8 && count <= 40);
  });

  it('tries a failed key again with backoff, and forgets it when it succeeds', async () => {
    const clock = new FakeClock();
    const queue = new WorkQueue({ clock });
    const abort = new AbortController();
    const start = clock.now();
    const times: number[] = [];
    const reconcile = async () => {
      times.push(clock.now() - start);
      if (times.length < 4) throw new Error('not yet');
    };
    const done = runWorkers(queue, 1, reconcile, { signal: abort.signal });
    queue.add('a');
    await clock.pass(1000);
    assert.deepEqual(times, [0, 5, 15, 35]);
    assert.equal(queue.requeues('a'), 0);
    abort.abort();
    await done;
  });

  it('ends when told to, and tells those at work', async () => {
    const queue = new WorkQueue();
    const abort = new AbortController();
    let told = false;
    const reconcile = (_key: string, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          told = true;
          resolve();
        });
      });
    const done = runWorkers(queue, 2, reconcile, { signal: abort.signal });
    queue.add('a');
    queue.add('b');
    queue.add('c');
    await settled();
    abort.abort();
    await done;
    assert.ok(told);
  });
});
