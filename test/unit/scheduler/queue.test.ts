/** The scheduling queue: order, backoff, and what brings pods back. */
import assert from 'node:assert/strict';
import { podInfo } from '../../../src/scheduler/pod-info.js';
import { SchedulingQueue } from '../../../src/scheduler/queue.js';
import { FakeClock } from '../../fixtures/fake-clock.js';
import { pod } from './objects.js';

describe('scheduling queue', () => {
  let clock: FakeClock;
  let queue: SchedulingQueue;
  let wakes: number;
  beforeEach(() => {
    clock = new FakeClock();
    wakes = 0;
    queue = new SchedulingQueue(clock, () => wakes++);
  });
  afterEach(() => queue.close());

  const add = (name: string, spec = {}) => queue.set(podInfo(pod({ name, spec })));
  const next = () => queue.pop()?.info.pod.metadata.name;

  it('gives the higher priority first, then the older', () => {
    add('first');
    clock.advance(1);
    add('second');
    add('urgent', { priority: 1000 });
    assert.deepEqual([next(), next(), next(), next()], ['urgent', 'first', 'second', undefined]);
    assert.equal(wakes, 3);
  });

  it('keeps an unschedulable pod until something may help', () => {
    add('p');
    queue.unschedulable(queue.pop()!, new Set(['NodeResourcesFit']));
    assert.equal(next(), undefined);
    queue.retry((p) => p.rejectedBy.has('NodePorts'));
    assert.equal(next(), undefined);
    queue.retry((p) => p.rejectedBy.has('NodeResourcesFit'));
    assert.equal(next(), 'p', 'with nothing else to do, its backoff is cut short');
  });

  it('gives a pod in backoff after those that wait for the first time', () => {
    add('again');
    queue.unschedulable(queue.pop()!, new Set());
    queue.retry(() => true);
    add('new');
    assert.deepEqual([next(), next()], ['new', 'again']);
  });

  it('gives a pod whose attempt broke off only after its backoff, which doubles up to 10 s', () => {
    add('p');
    for (const seconds of [1, 2, 4, 8, 10, 10]) {
      queue.failed(queue.pop()!);
      const before = wakes;
      clock.advance(seconds * 1000 - 1);
      assert.equal(next(), undefined, `before ${seconds} s`);
      clock.advance(1);
      assert.ok(wakes > before, 'the scheduler is woken');
      queue.retry(() => true);
      assert.equal(queue.count('failed'), 1);
      const [again] = [queue.pop()];
      assert.equal(again?.info.key, 'default/p', `after ${seconds} s`);
      // Back to where the loop expects it.
      queue.failed(again!);
      clock.advance(10_000);
      again!.attempts--;
    }
  });

  it('tries an unschedulable pod again after five minutes anyway', () => {
    add('p');
    queue.unschedulable(queue.pop()!, new Set());
    clock.advance(5 * 60_000 - 1);
    assert.equal(next(), undefined);
    clock.advance(1);
    assert.equal(next(), 'p');
  });

  it('holds a gated pod until its gates are gone', () => {
    add('p', { schedulingGates: [{ name: 'quota' }] });
    assert.equal(next(), undefined);
    queue.retry(() => true);
    assert.equal(next(), undefined);
    add('p');
    assert.equal(next(), 'p');
  });

  it('forgets a deleted pod wherever it is', () => {
    for (const name of ['active', 'unschedulable', 'failed']) add(name);
    const [, b, c] = [queue.pop()!, queue.pop()!, queue.pop()!];
    queue.unschedulable(b, new Set());
    queue.failed(c);
    add('new');
    for (const name of ['active', 'unschedulable', 'failed', 'new']) queue.delete(name);
    queue.retry(() => true);
    clock.advance(600_000);
    assert.equal(next(), undefined);
  });

  it('takes a change of an unschedulable pod as a reason to try it again, a refresh not', () => {
    add('p');
    queue.unschedulable(queue.pop()!, new Set());
    queue.refresh(podInfo(pod({ name: 'p' })));
    assert.equal(next(), undefined);
    add('p');
    assert.equal(next(), 'p');
  });
});
