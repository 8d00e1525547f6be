/** Which pods make room for one of higher priority, as tables. */
import assert from 'node:assert/strict';
import type { Pod, PodCondition, PodDisruptionBudget } from '#types';
import { filterNode, findNode } from '../../../src/scheduler/algorithm.js';
import { type Candidate, pickOne, victimsOn } from '../../../src/scheduler/plugins/preemption.js';
import { podInfo } from '../../../src/scheduler/pod-info.js';
import { cacheOf, cycleOf, infoOf, node, type PodFacts, pod } from './objects.js';

interface Facts extends PodFacts {
  priority?: number;
  /** Hours since it started. */
  age?: number;
}

/** A pod that asks for one CPU unless it says otherwise. */
function withPriority({ priority = 0, age = 0, requests = { cpu: '1' }, ...facts }: Facts): Pod {
  const made = pod({ ...facts, requests });
  const startTime = new Date(Date.UTC(2026, 0, 1) - age * 3600_000).toISOString();
  return { ...made, spec: { ...made.spec, priority }, status: { startTime } } as Pod;
}

const budget = (app: string, disruptionsAllowed: number): PodDisruptionBudget =>
  ({
    metadata: { name: app, namespace: 'default' },
    spec: { selector: { matchLabels: { app } } },
    status: { disruptionsAllowed },
  }) as unknown as PodDisruptionBudget;

describe('victims on a node', () => {
  const low = (name: string, facts: Facts = {}) => withPriority({ name, ...facts });
  const cases: [string, Pod[], Facts, PodDisruptionBudget[], string][] = [
    ['as few as needed', [low('a'), low('b'), low('c'), low('d')], {}, [], 'd'],
    [
      'the lowest priority first',
      [low('a', { priority: 5 }), low('b'), low('c', { priority: 5 }), low('d', { priority: 5 })],
      {},
      [],
      'b',
    ],
    [
      'the youngest of equals',
      [low('a', { age: 9 }), low('b', { age: 1 }), low('c', { age: 5 }), low('d', { age: 7 })],
      {},
      [],
      'b',
    ],
    [
      'more than one',
      [low('a', { age: 9 }), low('b', { age: 1 }), low('c', { age: 5 }), low('d', { age: 7 })],
      { requests: { cpu: '2' } },
      [],
      'c b',
    ],
    [
      'not those that a budget protects',
      [
        low('a', { age: 9 }),
        low('b', { age: 1, labels: { app: 'x' } }),
        low('c', { age: 5 }),
        low('d', { age: 7 }),
      ],
      {},
      [budget('x', 0)],
      'c',
    ],
    [
      'those that a budget lets go',
      [
        low('a', { age: 9 }),
        low('b', { age: 1, labels: { app: 'x' } }),
        low('c', { age: 5 }),
        low('d', { age: 7 }),
      ],
      {},
      [budget('x', 1)],
      'b',
    ],
  ];
  for (const [what, present, facts, budgets, expected] of cases)
    it(what, () => {
      const cache = cacheOf([node('n'), ...present]);
      const cycle = cycleOf(withPriority({ priority: 10, ...facts }), cache, budgets);
      const found = victimsOn(cycle, infoOf(cache, 'n'), filterNode);
      assert.ok('victims' in found);
      assert.equal(found.victims.map(({ pod: victim }) => victim.metadata.name).join(' '), expected);
      assert.equal(infoOf(cache, 'n').pods.size, present.length, 'the node itself is as it was');
    });

  it('none of the same priority', () => {
    const cache = cacheOf([node('n', { allocatable: { cpu: '1', pods: '9' } }), low('a', { priority: 10 })]);
    const found = victimsOn(cycleOf(withPriority({ priority: 10 }), cache), infoOf(cache, 'n'), filterNode);
    assert.deepEqual('reasons' in found && found.reasons, ['No preemption victims found for incoming pod']);
  });
});

describe('the node to preempt on', () => {
  const candidate = (name: string, victims: Facts[], violations = 0): Candidate => {
    const cache = cacheOf([node(name)]);
    return { node: infoOf(cache, name), victims: victims.map((f) => podInfo(withPriority(f))), violations };
  };
  const cases: [string, Candidate[], string][] = [
    ['violates fewer budgets', [candidate('a', [{}], 1), candidate('b', [{ priority: 9 }, {}])], 'b'],
    [
      'has the lower highest priority',
      [candidate('a', [{ priority: 9 }]), candidate('b', [{ priority: 5 }, {}])],
      'b',
    ],
    [
      'has the lower sum',
      [candidate('a', [{ priority: 5 }, { priority: 5 }]), candidate('b', [{ priority: 5 }, {}])],
      'b',
    ],
    ['has fewer victims', [candidate('a', [{}, {}]), candidate('b', [{}])], 'b'],
    ['has younger victims', [candidate('a', [{ age: 9 }]), candidate('b', [{ age: 1 }])], 'b'],
    ['comes first', [candidate('a', [{}]), candidate('b', [{}])], 'a'],
  ];
  for (const [what, candidates, expected] of cases)
    it(what, () => assert.equal(pickOne(candidates)?.node.name, expected));
});

describe('a pod that is promised a node', () => {
  const full = { cpu: '1', pods: '9' };
  it('is not robbed of it by one of lower priority, but by one of higher', () => {
    const cache = cacheOf([node('n', { allocatable: full })]);
    const place = (priority: number) => {
      const cycle = cycleOf(withPriority({ priority }), cache);
      cycle.nominations.set(podInfo(withPriority({ name: 'waits', priority: 5 })), 'n');
      return findNode(cycle, 0, () => 0).node?.name;
    };
    assert.equal(place(0), undefined);
    assert.equal(place(5), undefined);
    assert.equal(place(6), 'n');
  });

  it('takes it before it looks at others', () => {
    const cache = cacheOf([node('a')], [node('b'), pod({ requests: { cpu: '3' } })]);
    const waits = withPriority({ name: 'waits', priority: 5 });
    const cycle = cycleOf(waits, cache);
    assert.equal(findNode(cycle, 0, () => 0).node?.name, 'a');
    cycle.nominations.set(podInfo(waits), 'b');
    assert.equal(findNode(cycle, 0, () => 0).node?.name, 'b');
  });

  it('waits while a victim is ending', () => {
    const waits = withPriority({ name: 'waits', priority: 5 });
    const place = (nominated: boolean, ...conditions: PodCondition[]) => {
      const victim = withPriority({ name: 'victim' });
      victim.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
      victim.status = { conditions };
      const cycle = cycleOf(waits, cacheOf([node('n', { allocatable: full }), victim]));
      if (nominated) cycle.nominations.set(podInfo(waits), 'n');
      return findNode(cycle, 0, () => 0);
    };
    assert.equal(place(false).preemption?.victims.length, 1);
    assert.equal(place(true).preemption?.victims.length, 1, 'it ends by itself');
    const { message, preemption } = place(true, {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
    });
    assert.equal(preemption, undefined);
    assert.match(message, /preemption: not eligible due to a terminating pod on the nominated node\.$/);
  });
});
