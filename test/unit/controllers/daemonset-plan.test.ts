/** Where daemons run, and which pods a DaemonSet creates and deletes, as tables. */
import assert from 'node:assert/strict';
import type { DaemonSet, Node, Pod, PodSpec } from '#types';
import { FailedPodBackoff } from '../../../src/controllers/daemonset/backoff.js';
import {
  daemonTemplate,
  daemonTolerations,
  placementOn,
  targetNode,
} from '../../../src/controllers/daemonset/placement.js';
import { placePods, rollPods, type View } from '../../../src/controllers/daemonset/plan.js';
import { daemonSetStatus } from '../../../src/controllers/daemonset/status.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

const NOW = Date.UTC(2026, 0, 1);
const HASH = 'new';

const node = (name: string, spec: Partial<Node['spec']> = {}, labels: Record<string, string> = {}): Node =>
  ({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec }) as Node;

interface SetFacts {
  rolling?: { maxUnavailable?: number | string; maxSurge?: number | string };
  spec?: Partial<PodSpec>;
  minReadySeconds?: number;
}

const set = ({ rolling = { maxUnavailable: 1 }, spec = {}, minReadySeconds }: SetFacts = {}): DaemonSet =>
  ({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'd', namespace: 'default', uid: 'd', generation: 4 },
    spec: {
      minReadySeconds,
      selector: { matchLabels: { app: 'd' } },
      template: { metadata: { labels: { app: 'd' } }, spec: { containers: [], ...spec } },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: rolling },
    },
  }) as unknown as DaemonSet;

/** A pod in few letters: `n` new or `o` old, then `+` ready, `-` not, `F` failed, `S` succeeded, `x` ending. */
function pod(on: string, letters: string, name: string): Pod {
  const phase = letters.includes('F') ? 'Failed' : letters.includes('S') ? 'Succeeded' : 'Running';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      uid: name,
      labels: { 'controller-revision-hash': letters.startsWith('n') ? HASH : 'old' },
      ...(letters.includes('x') ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { nodeName: on, containers: [] },
    status: {
      phase,
      conditions: [
        {
          type: 'Ready',
          status: letters.includes('+') ? 'True' : 'False',
          lastTransitionTime: '2025-12-31T23:59:50Z',
        },
      ],
    },
  } as Pod;
}

/** `a: o+ n-` is a node `a` with two pods, named after their node and place. */
function view(nodes: string, facts: SetFacts = {}, others: Node[] = []): View {
  const list: Node[] = [];
  const pods = new Map<string, Pod[]>();
  for (const line of nodes.split(',').map((text) => text.trim())) {
    const [name, letters = ''] = line.split(':').map((text) => text.trim());
    list.push(node(name!));
    const here = letters
      .split(' ')
      .filter(Boolean)
      .map((text, i) => pod(name!, text, `${name}${i}`));
    if (here.length > 0) pods.set(name!, here);
  }
  return { set: set(facts), nodes: [...list, ...others], pods, hash: HASH, now: NOW };
}

const names = (pods: Pod[]) => pods.map(({ metadata }) => metadata.name).join(' ');

describe('daemon pods', () => {
  const taint = (key: string, effect: string) => ({ taints: [{ key, effect }] });
  const cases: [string, Node, Partial<PodSpec>, boolean, boolean][] = [
    ['run on a plain node', node('a'), {}, true, true],
    ['need the labels of their nodeSelector', node('a'), { nodeSelector: { ssd: 'true' } }, false, false],
    [
      'run where the labels are',
      node('a', {}, { ssd: 'true' }),
      { nodeSelector: { ssd: 'true' } },
      true,
      true,
    ],
    ['run on one named node only', node('a'), { nodeName: 'b' }, false, false],
    ['do not start on a tainted node, but stay', node('a', taint('k', 'NoSchedule')), {}, false, true],
    ['leave a node that evicts', node('a', taint('k', 'NoExecute')), {}, false, false],
    ['do not mind PreferNoSchedule', node('a', taint('k', 'PreferNoSchedule')), {}, true, true],
    [
      'bear what they tolerate',
      node('a', taint('k', 'NoExecute')),
      { tolerations: [{ key: 'k', operator: 'Exists' }] },
      true,
      true,
    ],
    [
      'run on cordoned nodes',
      node('a', { unschedulable: true, ...taint('node.kubernetes.io/unschedulable', 'NoSchedule') }),
      {},
      true,
      true,
    ],
    [
      'stay on nodes out of reach',
      node('a', taint('node.kubernetes.io/unreachable', 'NoExecute')),
      {},
      true,
      true,
    ],
    [
      'bear a missing network only if they do not need it',
      node('a', taint('node.kubernetes.io/network-unavailable', 'NoSchedule')),
      { hostNetwork: true },
      true,
      true,
    ],
  ];
  for (const [what, where, spec, run, stay] of cases)
    it(what, () => {
      assert.deepEqual(placementOn(where, set({ spec }).spec.template), { run, stay });
    });

  it('are bound by node affinity to their node, whatever affinity the template asks for', () => {
    const nodeAffinity = {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'ssd', operator: 'Exists' }] }],
      },
      preferredDuringSchedulingIgnoredDuringExecution: [],
    };
    const template = daemonTemplate(set({ spec: { affinity: { nodeAffinity } } }), 'a', 'hash');
    const spec = template.spec as PodSpec;
    assert.deepEqual(spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution, {
      nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }],
    });
    assert.ok(spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution);
    assert.deepEqual(template.metadata?.labels, { app: 'd', 'controller-revision-hash': 'hash' });
    assert.equal(targetNode({ spec } as Pod), 'a');
    assert.equal(targetNode({ spec: { ...spec, nodeName: 'b' } } as Pod), 'b');
    assert.equal(targetNode({ spec: {} } as Pod), '');
  });

  it('have their tolerations once', () => {
    const own = {
      key: 'node.kubernetes.io/not-ready',
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 5,
    };
    const tolerations = daemonTolerations({ containers: [], tolerations: [own] });
    assert.equal(tolerations.length, 6);
    assert.equal(tolerations[0]!.tolerationSeconds, undefined);
  });
});

describe('placing daemon pods', () => {
  const cases: [string, string, SetFacts, string, string][] = [
    ['one on each node', 'a: , b: n+', {}, 'a', ''],
    ['none while one is ending', 'a: n+x', {}, '', ''],
    ['only the oldest stays', 'a: n+ n+ n+', {}, '', 'a1 a2'],
    ['old ones stay for the update', 'a: o+', {}, '', ''],
    ['a surging set starts one beside one that is ending', 'a: o+x', { rolling: { maxSurge: 1 } }, 'a', ''],
    ['a surging set keeps an old ready one and a new one', 'a: o+ n-', { rolling: { maxSurge: 1 } }, '', ''],
    ['an old one that is not ready goes', 'a: o- n-', { rolling: { maxSurge: 1 } }, '', 'a0'],
    ['an old one goes once the new one is available', 'a: o+ n+', { rolling: { maxSurge: 1 } }, '', 'a0'],
    ['not before minReadySeconds', 'a: o+ n+', { rolling: { maxSurge: 1 }, minReadySeconds: 60 }, '', ''],
  ];
  for (const [what, nodes, facts, create, remove] of cases)
    it(what, () => {
      const plan = placePods(view(nodes, facts));
      assert.equal(plan.create.join(' '), create);
      assert.equal(names(plan.remove), remove);
    });

  it('tells of those that ended, and replaces none before they are gone', () => {
    const plan = placePods(view('a: nF, b: nS, c: nFx'));
    assert.deepEqual([plan.failed.map((e) => e.node), plan.succeeded.map((e) => e.node)], [['a'], ['b']]);
    assert.deepEqual(plan.create, []);
  });

  it('removes pods from nodes that no longer want them, and those that wait for a node that is gone', () => {
    const tainted = node('t', { taints: [{ key: 'k', effect: 'NoExecute' }] });
    const v = view('a: n+', {}, [tainted]);
    const waiting = { ...pod('', 'n-', 'w'), spec: { containers: [] } } as Pod;
    const pods = new Map([
      ...v.pods,
      ['t', [pod('t', 'n+', 't0')]],
      ['gone', [waiting, pod('gone', 'n+', 'g')]],
    ]);
    assert.equal(names(placePods({ ...v, pods }).remove), 't0 w');
  });
});

describe('updating daemon pods', () => {
  const cases: [string, string, SetFacts, string, string][] = [
    ['one at a time', 'a: o+, b: o+, c: o+', {}, '', 'a0'],
    ['waits for the new one', 'a: n-, b: o+', {}, '', ''],
    ['goes on once it is available', 'a: n+, b: o+', {}, '', 'b0'],
    ['counts nodes without a pod', 'a: , b: o+', {}, '', ''],
    ['replaces what is unavailable at once, and nothing beside it', 'a: o-, b: o-, c: o+', {}, '', 'a0 b0'],
    ['takes a share, rounded up', 'a: o+, b: o+, c: o+', { rolling: { maxUnavailable: '40%' } }, '', 'a0 b0'],
    ['waits for minReadySeconds', 'a: n+, b: o+', { minReadySeconds: 60 }, '', 'b0'],
    ['surges one at a time', 'a: o+, b: o+', { rolling: { maxUnavailable: 0, maxSurge: 1 } }, 'a', ''],
    ['waits for a surge', 'a: o+ n-, b: o+', { rolling: { maxUnavailable: 0, maxSurge: 1 } }, '', ''],
    ['ends a surge', 'a: o+ n+, b: o+', { rolling: { maxUnavailable: 0, maxSurge: 1 } }, 'b', 'a0'],
    [
      'surges freely where the old one is of no use',
      'a: o-, b: o-',
      { rolling: { maxUnavailable: 0, maxSurge: 1 } },
      'a b',
      '',
    ],
  ];
  for (const [what, nodes, facts, create, remove] of cases)
    it(what, () => {
      const plan = rollPods(view(nodes, facts));
      assert.equal(plan.create.join(' '), create);
      // An old pod that has not been ready for long enough is unavailable, so it may go.
      assert.equal(names(plan.remove), remove);
    });

  it('surges on no node that wants no new pod, and clears it once enough are available', () => {
    const tainted = ['t', 'u'].map((name) => node(name, { taints: [{ key: 'k', effect: 'NoSchedule' }] }));
    const plan = (nodes: string, t: string) => {
      const v = view(nodes, { rolling: { maxUnavailable: 0, maxSurge: 1 } }, tainted);
      const pods = new Map([...v.pods, ['t', [pod('t', t, 't0')]], ['u', [pod('u', 'o+', 'u0')]]]);
      const { create, remove } = rollPods({ ...v, pods });
      return [create.join(' '), names(remove)];
    };
    assert.deepEqual(plan('a: n-, b: n-', 'o+'), ['', ''], 'the old ones are all that is available');
    assert.deepEqual(plan('a: n+, b: n-', 'o+'), ['', 't0'], 'three, where two should be');
    assert.deepEqual(plan('a: n-, b: n-', 'o-'), ['', 't0'], 'one of no use');
  });
});

describe('the status of a daemon set', () => {
  it('counts nodes, not pods', () => {
    const cordoned = node('t', { taints: [{ key: 'k', effect: 'NoSchedule' }] });
    const v = view('a: n+, b: o-, c: ', {}, [cordoned]);
    const pods = new Map([...v.pods, ['t', [pod('t', 'n+', 't0')]]]);
    assert.deepEqual(daemonSetStatus({ ...v, pods }, 4, undefined), {
      desiredNumberScheduled: 3,
      currentNumberScheduled: 2,
      numberMisscheduled: 1,
      numberReady: 1,
      numberAvailable: 1,
      numberUnavailable: 2,
      updatedNumberScheduled: 1,
      observedGeneration: 4,
    });
  });
});

describe('the backoff of failing daemon pods', () => {
  it('doubles, and forgets', () => {
    const clock = new FakeClock();
    const backoff = new FailedPodBackoff(clock);
    assert.equal(backoff.next('k'), 0);
    assert.equal(backoff.next('k'), 1000);
    assert.equal(backoff.next('other'), 0);
    clock.advance(1000);
    assert.equal(backoff.next('k'), 0);
    assert.equal(backoff.next('k'), 2000);
    clock.advance(3600_000);
    assert.equal(backoff.next('k'), 0);
    assert.equal(backoff.next('k'), 1000);
  });
});
