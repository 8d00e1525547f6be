/** Use of nodes and pods from looks at their counters. */
import assert from 'node:assert/strict';
import { UsageSampler, usageBetween } from '../../../src/hub/usage.js';
import type { NodeStats } from '../../../src/rpc/stats.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

/** A node at `time` (ms) whose pods have containers of these ids; each uses half a core since 0. */
const look = (time: number, pods: Record<string, string[]>, startedAt = 0): NodeStats => ({
  node: { time, cpuNanos: time * 1e6 * 2, workingSetBytes: 4096 },
  pods: Object.entries(pods).map(([uid, ids]) => ({
    uid,
    namespace: 'default',
    name: uid,
    containers: ids.map((id) => ({
      id,
      name: `c-${id}`,
      startedAt,
      time,
      cpuNanos: (time - startedAt) * 5e5,
      workingSetBytes: 1024,
    })),
  })),
});

describe('Usage between two looks', () => {
  it('is a rate of the node and of each container', () => {
    assert.deepEqual(usageBetween(look(1000, { a: ['1', '2'] }), look(3000, { a: ['1', '2'] })), {
      time: 3000,
      windowMs: 2000,
      node: { cpuNanoCores: 2e9, memoryBytes: 4096 },
      pods: [
        {
          uid: 'a',
          namespace: 'default',
          name: 'a',
          windowMs: 2000,
          containers: ['1', '2'].map((id) => ({
            name: `c-${id}`,
            cpuNanoCores: 5e8,
            memoryBytes: 1024,
          })),
        },
      ],
    });
  });

  it('counts what is new from its start, and leaves out what has hardly begun', () => {
    const before = look(10_000, {});
    const of = (startedAt: number) => usageBetween(before, look(20_000, { a: ['1'] }, startedAt)).pods;
    assert.equal(of(15_000)[0]!.windowMs, 5000);
    assert.equal(of(15_000)[0]!.containers[0]!.cpuNanoCores, 5e8);
    assert.deepEqual(of(19_900), []);
  });
});

describe('UsageSampler', () => {
  const setUp = () => {
    const clock = new FakeClock(1_000_000);
    let asked = 0;
    const stats = async (node: string) => {
      asked++;
      if (node === 'away') throw new Error('not connected');
      return look(clock.now(), { a: ['1'] });
    };
    return { clock, sampler: new UsageSampler({ stats, clock }), asked: () => asked };
  };

  it('asks nobody until somebody wants to know, and takes two looks at first', async () => {
    const { clock, sampler, asked } = setUp();
    await clock.pass(100_000);
    assert.equal(asked(), 0);
    const usage = sampler.usageOf('n');
    await clock.pass(1000);
    assert.equal((await usage)?.windowMs, 1000);
    assert.equal(asked(), 2);
    assert.equal(clock.timers, 0);
  });

  it('gives a fresh answer again, then goes on from its last look', async () => {
    const { clock, sampler, asked } = setUp();
    const first = sampler.usageOf('n');
    await clock.pass(1000);
    await first;
    await clock.pass(4000);
    assert.equal(await sampler.usageOf('n'), await first);
    assert.equal(asked(), 2);
    await clock.pass(11_000);
    assert.equal((await sampler.usageOf('n'))?.windowMs, 15_000);
    assert.equal(asked(), 3);
  });

  it('asks once for all who ask at the same time', async () => {
    const { clock, sampler, asked } = setUp();
    const all = Promise.all([sampler.usageOf('n'), sampler.usageOf('n'), sampler.usageOf('n')]);
    await clock.pass(1000);
    await all;
    assert.equal(asked(), 2);
  });

  it('knows nothing of a node that is away', async () => {
    assert.equal(await setUp().sampler.usageOf('away'), undefined);
  });
});
