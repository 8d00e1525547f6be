/** The arithmetic of rolling updates, as tables. */
import assert from 'node:assert/strict';
import type { Deployment, ReplicaSet } from '#types';
import {
  activeOrLatest,
  maxSurge,
  maxUnavailable,
  newSetReplicas,
  proportionalSizes,
  scaledValue,
  shrinkOldSets,
} from '../../../src/controllers/deployment/arithmetic.js';

function deployment(replicas: number, surge: number | string, unavailable: number | string): Deployment {
  return {
    spec: {
      replicas,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable } },
    },
  } as Deployment;
}

let age = 0;
function set(name: string, replicas: number, available = replicas, max?: number): ReplicaSet {
  const annotations = max === undefined ? {} : { 'deployment.kubernetes.io/max-replicas': String(max) };
  const creationTimestamp = new Date(Date.UTC(2026, 0, 1, 0, 0, age++)).toISOString();
  return {
    metadata: { name, uid: name, creationTimestamp, annotations },
    spec: { replicas },
    status: { replicas, availableReplicas: available },
  } as unknown as ReplicaSet;
}

const sizes = (resizes: { set: ReplicaSet; replicas: number }[]) =>
  resizes.map(({ set, replicas }) => `${set.metadata.name}=${replicas}`);

describe('rolling update arithmetic', () => {
  const shares: [number | string, number, boolean, number][] = [
    ['25%', 4, true, 1],
    ['25%', 5, true, 2],
    ['25%', 5, false, 1],
    ['0%', 5, true, 0],
    ['100%', 3, false, 3],
    [2, 10, true, 2],
  ];
  for (const [value, total, up, expected] of shares)
    it(`${value} of ${total} rounded ${up ? 'up' : 'down'} is ${expected}`, () =>
      assert.equal(scaledValue(value, total, up), expected));

  const fenceposts: [number, number | string, number | string, number, number][] = [
    // replicas, maxSurge, maxUnavailable → surge, unavailable
    [3, '25%', '25%', 1, 0],
    [10, '25%', '25%', 3, 2],
    [1, 0, 0, 0, 1],
    [1, '0%', '1%', 0, 1],
    [0, 1, 1, 1, 0],
    [2, 0, 5, 0, 2],
  ];
  for (const [replicas, surge, unavailable, s, u] of fenceposts)
    it(`${replicas} replicas, surge ${surge}, unavailable ${unavailable}: ${s} more, ${u} fewer`, () => {
      const d = deployment(replicas, surge, unavailable);
      assert.deepEqual([maxSurge(d), maxUnavailable(d)], [s, u]);
    });

  it('Recreate neither surges nor keeps any available', () => {
    const d = { spec: { replicas: 3, strategy: { type: 'Recreate' } } } as Deployment;
    assert.deepEqual([maxSurge(d), maxUnavailable(d)], [0, 0]);
    assert.equal(newSetReplicas(d, [set('old', 3)], 0), 3);
  });

  const growth: [string, number, number, number, number][] = [
    // words, replicas, maxSurge, old pods, current new → next new is asserted below
    ['grows into the surge', 10, 2, 10, 0],
    ['waits while there is no room', 10, 0, 10, 0],
    ['never grows above the wanted number', 10, 5, 2, 8],
    ['starts at once without old pods', 10, 1, 0, 0],
  ];
  const expected = [2, 0, 10, 10];
  growth.forEach(([words, replicas, surge, old, current], i) => {
    it(words, () => {
      const d = deployment(replicas, surge, 1);
      assert.equal(newSetReplicas(d, [set('old', old), set('new', current)], current), expected[i]);
    });
  });

  it('takes away only as many healthy old pods as availability allows', () => {
    const d = deployment(10, 0, 2);
    assert.deepEqual(sizes(shrinkOldSets(d, set('new', 0), [set('old', 10)])), ['old=8']);
    assert.deepEqual(sizes(shrinkOldSets(d, set('new', 2, 0), [set('old', 8)])), []);
    assert.deepEqual(sizes(shrinkOldSets(d, set('new', 2, 2), [set('old', 8)])), ['old=6']);
  });

  it('takes away unhealthy old pods first, oldest ReplicaSet first', () => {
    const d = deployment(10, 3, 2);
    const older = set('older', 4, 1);
    const old = set('old', 6, 6);
    // 10 + 3 pods, at least 8 available, 3 new not available yet: 2 may go, and they are the broken ones.
    assert.deepEqual(sizes(shrinkOldSets(d, set('new', 3, 0), [old, older])), ['older=2']);
  });

  it('goes on from the cleaned-up size with the healthy ones', () => {
    const d = deployment(4, 0, 2);
    const result = sizes(shrinkOldSets(d, set('new', 2, 2), [set('old', 3, 2)]));
    assert.deepEqual(result, ['old=2', 'old=0']);
  });

  it('grows and shrinks ReplicaSets in proportion when a rollout is scaled', () => {
    // 10 → 20 in the middle of a rollout with surge 5: of 25 allowed, 15 were allowed before.
    const d = deployment(20, 5, 2);
    const larger = set('a', 10, 10, 15);
    const smaller = set('b', 5, 5, 15);
    assert.deepEqual(sizes(proportionalSizes(d, [smaller, larger])), ['a=17', 'b=8']);
    const down = deployment(5, 0, 1);
    assert.deepEqual(sizes(proportionalSizes(down, [set('a', 10, 10, 15), set('b', 5, 5, 15)])), [
      'a=3',
      'b=2',
    ]);
    const none = deployment(0, 5, 1);
    assert.deepEqual(sizes(proportionalSizes(none, [set('a', 2, 2, 7), set('b', 1, 1, 7)])), ['a=0', 'b=0']);
  });

  it('gives what rounding leaves over to the largest', () => {
    const d = deployment(6, 0, 1);
    const result = proportionalSizes(d, [set('a', 2, 2, 5), set('b', 2, 2, 5), set('c', 1, 1, 5)]);
    assert.equal(
      result.reduce((sum, { replicas }) => sum + replicas, 0),
      6,
    );
  });

  it('scales the only active ReplicaSet, or the newest when none is', () => {
    const a = set('a', 0);
    const b = set('b', 0);
    const c = set('c', 2);
    assert.equal(activeOrLatest(undefined, [b, a])?.metadata.name, 'b');
    assert.equal(activeOrLatest(a, [b])?.metadata.name, 'a');
    assert.equal(activeOrLatest(a, [b, c])?.metadata.name, 'c');
    assert.equal(activeOrLatest(set('d', 1), [c]), undefined);
  });
});
