import assert from 'node:assert/strict';
import { nodeSettings } from '../../../src/agent/node/settings.js';
import { shutdownGroups } from '../../../src/agent/node/shutdown/groups.js';
import { makePod } from './fakes.js';

describe('the shutdown of a node', () => {
  for (const [title, flags, periods] of [
    ['has no time by default', {}, []],
    [
      'keeps time for critical pods',
      { shutdownGracePeriod: '30s', shutdownGracePeriodCriticalPods: '10s' },
      [
        [0, 20],
        [2e9, 10],
      ],
    ],
    [
      'has times by priority',
      { shutdownGracePeriodByPodPriority: '1000=1m,-5=5s' },
      [
        [-5, 5],
        [1000, 60],
      ],
    ],
  ] as const)
    it(title, () => {
      const told = nodeSettings(flags).shutdown.map(({ priority, seconds }) => [priority, seconds]);
      assert.deepEqual(told, periods);
    });

  for (const [flags, says] of [
    [
      { shutdownGracePeriod: '1s', shutdownGracePeriodCriticalPods: '2s' },
      /critical-pods can not be more than/,
    ],
    [{ shutdownGracePeriod: '1s', shutdownGracePeriodByPodPriority: '0=1s' }, /can not be combined/],
    [{ shutdownGracePeriod: '100ms' }, /must be 0s or at least 1s/],
    [{ shutdownGracePeriodByPodPriority: 'high=1s' }, /"high" is not a priority/],
    [{ shutdownGracePeriodByPodPriority: '5' }, /is not a duration/],
  ] as const)
    it(`refuses ${JSON.stringify(flags)}`, () => {
      assert.throws(() => nodeSettings(flags), says);
    });

  it('puts each pod into the group below its priority', () => {
    const of = (priority: number) => ({ pod: makePod({ priority }) });
    const periods = [10, 100].map((priority) => ({ priority, seconds: 1 }));
    const groups = shutdownGroups(periods, [1, 10, 99, 100, 1000].map(of));
    assert.deepEqual(
      groups.map(({ period, pods }) => [period.priority, pods.map(({ pod }) => pod.spec.priority)]),
      [
        [10, [1, 10, 99]],
        [100, [100, 1000]],
      ],
    );
    assert.deepEqual(shutdownGroups([], [of(1)]), []);
  });
});
