/** Topology spread constraints and affinity between pods. */
import assert from 'node:assert/strict';
import type { Node, Pod } from '#types';
import { filterNode } from '../../../src/scheduler/algorithm.js';
import { interPodAffinity } from '../../../src/scheduler/plugins/pod-affinity.js';
import { podTopologySpread } from '../../../src/scheduler/plugins/topology-spread.js';
import { cacheOf, cycleOf, node, pod } from './objects.js';

const HOST = 'kubernetes.io/hostname';
const ZONE = 'zone';

/** By node: the reason why the pod does not fit there, '' where it does. */
function fits(p: Pod, ...nodes: [Node, ...Pod[]][]): Record<string, string> {
  const cache = cacheOf(...nodes);
  const cycle = cycleOf(p, cache);
  return Object.fromEntries(
    cache.nodes.map((info) => [info.name, filterNode(cycle, info)?.reasons.join() ?? '']),
  );
}

const zone = (name: string, value: string) => node(name, { labels: { [ZONE]: value } });
const web = (spec: Partial<Pod['spec']> = {}) => pod({ labels: { app: 'web' }, spec });
const labelSelector = { matchLabels: { app: 'web' } };

describe('PodTopologySpread', () => {
  const SKEW = "node(s) didn't match pod topology spread constraints";
  const spread = (topologyKey: string, change = {}) =>
    web({
      topologySpreadConstraints: [
        { topologyKey, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule', labelSelector, ...change },
      ],
    });

  it('keeps the difference between domains within maxSkew', () => {
    assert.deepEqual(fits(spread(ZONE), [zone('a', 'x'), web()], [zone('b', 'x')], [zone('c', 'y')]), {
      a: SKEW,
      b: SKEW,
      c: '',
    });
    assert.deepEqual(fits(spread(ZONE, { maxSkew: 2 }), [zone('a', 'x'), web()], [zone('c', 'y')]), {
      a: '',
      c: '',
    });
  });

  it('counts only pods of its namespace that match and are not on their way out', () => {
    const ending = web();
    ending.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    const foreign = pod({ namespace: 'other', labels: { app: 'web' } });
    assert.deepEqual(fits(spread(HOST), [node('a'), ending, foreign, pod()], [node('b')]), { a: '', b: '' });
  });

  it('counts none by a selector of all', () =>
    assert.deepEqual(
      fits(spread(ZONE, { labelSelector: {} }), [zone('a', 'x'), web(), web()], [zone('c', 'y')]),
      {
        a: '',
        c: '',
      },
    ));

  it('rejects nodes without the label', () =>
    assert.deepEqual(fits(spread(ZONE), [zone('a', 'x')], [node('b')]), {
      a: '',
      b: `${SKEW} (missing required label)`,
    }));

  it('does not count nodes that the pod cannot go to by its nodeSelector, unless told to', () => {
    const nodes: [Node, ...Pod[]][] = [[node('a', { labels: { disk: 'ssd' } }), web()], [node('b')]];
    const selecting = spread(HOST);
    selecting.spec.nodeSelector = { disk: 'ssd' };
    assert.equal(fits(selecting, ...nodes)['a'], '');
    const ignoring = spread(HOST, { nodeAffinityPolicy: 'Ignore' });
    ignoring.spec.nodeSelector = { disk: 'ssd' };
    assert.equal(fits(ignoring, ...nodes)['a'], SKEW);
  });

  it('counts missing domains as empty with minDomains', () => {
    assert.deepEqual(fits(spread(ZONE, { minDomains: 2 }), [zone('a', 'x'), web()]), { a: SKEW });
    assert.deepEqual(fits(spread(ZONE), [zone('a', 'x'), web()]), { a: '' });
  });

  it('ScheduleAnyway only prefers', () => {
    const p = spread(ZONE, { whenUnsatisfiable: 'ScheduleAnyway' });
    const cache = cacheOf([zone('a', 'x'), web(), web()], [zone('b', 'y'), web()], [node('c')]);
    assert.equal(filterNode(cycleOf(p, cache), cache.nodes[0]!), undefined);
    const [a, b, c] = podTopologySpread.score(cycleOf(p, cache), cache.nodes)!;
    assert.ok(b! > a! && a! > c!, `${a} ${b} ${c}`);
  });
});

describe('InterPodAffinity', () => {
  const AFFINITY = "node(s) didn't match pod affinity rules";
  const ANTI = "node(s) didn't match pod anti-affinity rules";
  const EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules";
  const term = (topologyKey: string, change = {}) => ({ topologyKey, labelSelector, ...change });
  const near = (...terms: object[]) =>
    ({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } } }) as Partial<
      Pod['spec']
    >;
  const away = (...terms: object[]) =>
    ({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } } }) as Partial<
      Pod['spec']
    >;

  it('puts a pod into the zone of those it wants to be with', () =>
    assert.deepEqual(
      fits(pod({ spec: near(term(ZONE)) }), [zone('a', 'x'), web()], [zone('b', 'x')], [zone('c', 'y')]),
      { a: '', b: '', c: AFFINITY },
    ));

  it('lets the first of a group start anywhere, but only if it is of the group', () => {
    assert.deepEqual(fits(web(near(term(ZONE))), [zone('a', 'x')], [node('b')]), { a: '', b: AFFINITY });
    assert.deepEqual(fits(pod({ spec: near(term(ZONE)) }), [zone('a', 'x')]), { a: AFFINITY });
  });

  it('keeps a pod away from others, each on a node of its own', () =>
    assert.deepEqual(fits(web(away(term(HOST))), [node('a'), web(away(term(HOST)))], [node('b')]), {
      a: ANTI,
      b: '',
    }));

  it('respects the anti-affinity of pods that run', () =>
    assert.deepEqual(
      fits(web(), [zone('a', 'x'), pod({ spec: away(term(ZONE)) })], [zone('b', 'x')], [zone('c', 'y')]),
      {
        a: EXISTING,
        b: EXISTING,
        c: '',
      },
    ));

  it('looks at the namespaces that a term names', () => {
    const foreign = pod({ namespace: 'other', labels: { app: 'web' } });
    const rows: [object, string][] = [
      [{}, AFFINITY],
      [{ namespaces: ['other'] }, ''],
      [{ namespaceSelector: { matchLabels: { name: 'other' } } }, ''],
      [{ namespaceSelector: {} }, ''],
      [{ namespaceSelector: { matchLabels: { name: 'third' } } }, AFFINITY],
    ];
    for (const [change, expected] of rows)
      assert.deepEqual(fits(pod({ spec: near(term(HOST, change)) }), [node('a'), foreign]), { a: expected });
  });

  it('prefers what the pod prefers, and what others prefer of it', () => {
    const prefer = (kind: 'podAffinity' | 'podAntiAffinity') =>
      ({
        affinity: {
          [kind]: {
            preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 50, podAffinityTerm: term(HOST) }],
          },
        },
      }) as Partial<Pod['spec']>;
    const score = (p: Pod, ...nodes: [Node, ...Pod[]][]) => {
      const cache = cacheOf(...nodes);
      return interPodAffinity.score(cycleOf(p, cache), cache.nodes);
    };
    assert.deepEqual(score(pod({ spec: prefer('podAffinity') }), [node('a'), web()], [node('b')]), [100, 0]);
    assert.deepEqual(
      score(pod({ spec: prefer('podAntiAffinity') }), [node('a'), web()], [node('b')]),
      [0, 100],
    );
    assert.deepEqual(
      score(web(), [node('a'), pod({ spec: prefer('podAntiAffinity') })], [node('b')]),
      [0, 100],
    );
    assert.equal(score(pod(), [node('a'), web()]), undefined);
  });

  it('is lifted by pods that come or go, if they match', () => {
    const cycle = (p: Pod) => cycleOf(p, cacheOf());
    const [wants, avoids] = [cycle(pod({ spec: near(term(HOST)) })), cycle(pod({ spec: away(term(HOST)) }))];
    const [match, other] = [cycle(web()).pod, cycle(pod()).pod];
    const helps = (event: 'pod-added' | 'pod-removed', c: typeof wants, changed: typeof match) =>
      interPodAffinity.helps!(event, c.pod, changed, c);
    assert.deepEqual(
      [
        helps('pod-added', wants, match),
        helps('pod-added', wants, other),
        helps('pod-removed', wants, match),
      ],
      [true, false, false],
    );
    assert.deepEqual([helps('pod-added', avoids, match), helps('pod-removed', avoids, match)], [false, true]);
  });
});
