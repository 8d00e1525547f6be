import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { Operations } from '../../../src/agent/pods/operations.js';
import { systemClock } from '../../../src/api/machinery/clock.js';

describe('operations of a pod', () => {
  const make = () =>
    new Operations({ clock: systemClock, settled: () => undefined, failed: () => undefined });

  /** Work that ends when it is let, and what was seen of it. */
  const work = () => {
    const seen: string[] = [];
    let state = 'old';
    const gates: (() => void)[] = [];
    return {
      seen,
      set: (next: string) => {
        state = next;
      },
      run: async () => {
        seen.push(state);
        await new Promise<void>((resolve) => gates.push(resolve));
      },
      end: async () => {
        gates.shift()!();
        await turn();
      },
    };
  };

  it('does once more, after it, what is asked for while it is under way', async () => {
    const operations = make();
    const one = work();
    operations.runAfresh('refresh', one.run);
    one.set('new');
    operations.runAfresh('refresh', one.run);
    operations.runAfresh('refresh', one.run);
    assert.deepEqual(one.seen, ['old']);
    await one.end();
    assert.deepEqual(one.seen, ['old', 'new']);
    assert.ok(operations.has('refresh'));
    await one.end();
    assert.deepEqual([one.seen.length, operations.has('refresh')], [2, false]);
  });

  it('leaves out what is under way where nothing new is to be seen', async () => {
    const operations = make();
    const one = work();
    operations.run('mount', one.run);
    operations.run('mount', one.run);
    await one.end();
    assert.deepEqual([one.seen.length, operations.has('mount')], [1, false]);
  });

  it('ends at a close', async () => {
    const operations = make();
    const one = work();
    operations.runAfresh('refresh', one.run);
    operations.runAfresh('refresh', one.run);
    operations.close();
    await one.end();
    assert.equal(one.seen.length, 1);
  });
});
