/** Parts of controllers that need no cluster. */
import assert from 'node:assert/strict';
import type { Node, Pod, PodTemplateSpec, Taint } from '#types';
import { withRevision } from '../../../src/controllers/deployment/annotations.js';
import { equalTemplates, templateHash } from '../../../src/controllers/deployment/hash.js';
import { Expectations } from '../../../src/controllers/expectations.js';
import { contentConditions } from '../../../src/controllers/namespace.js';
import { CidrSet } from '../../../src/controllers/node-ipam.js';
import { toleratedSeconds } from '../../../src/controllers/node-lifecycle/eviction.js';
import { unknownConditions } from '../../../src/controllers/node-lifecycle/health.js';
import { taintsFor } from '../../../src/controllers/node-lifecycle/taints.js';
import { EvictionPace, zoneState } from '../../../src/controllers/node-lifecycle/zones.js';
import { podsToDelete } from '../../../src/controllers/replicaset/ranking.js';
import { slowStart } from '../../../src/controllers/slow-start.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

const NOW = Date.UTC(2026, 0, 2);
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString();

interface PodFacts {
  node?: string;
  phase?: string;
  /** Seconds since it became ready. */
  ready?: number;
  cost?: string;
  restarts?: number;
  /** Seconds since it was created. */
  age?: number;
}

function pod(name: string, facts: PodFacts): Pod {
  const { node, phase = 'Running', ready, cost, restarts = 0, age = 100 } = facts;
  return {
    metadata: {
      name,
      uid: name,
      creationTimestamp: at(age),
      annotations: cost === undefined ? {} : { 'controller.kubernetes.io/pod-deletion-cost': cost },
    },
    spec: { nodeName: node },
    status: {
      phase,
      conditions:
        ready === undefined ? [] : [{ type: 'Ready', status: 'True', lastTransitionTime: at(ready) }],
      containerStatuses: [{ restartCount: restarts }],
    },
  } as unknown as Pod;
}

describe('ReplicaSet: which pod is deleted first', () => {
  const cases: [string, PodFacts, PodFacts][] = [
    ['one without a node', { phase: 'Pending' }, { node: 'a', phase: 'Pending' }],
    ['a pending one', { node: 'a', phase: 'Pending' }, { node: 'a' }],
    ['one of unknown phase before a running one', { node: 'a', phase: 'Unknown' }, { node: 'a' }],
    ['one that is not ready', { node: 'a' }, { node: 'a', ready: 10 }],
    ['the one of lower cost', { node: 'a', ready: 9999, cost: '-5' }, { node: 'a', ready: 1 }],
    ['the one ready for less time', { node: 'a', ready: 10 }, { node: 'a', ready: 1000 }],
    ['the one with more restarts', { node: 'a', restarts: 3, age: 9000 }, { node: 'a', restarts: 1, age: 1 }],
    ['the younger', { node: 'a', age: 10 }, { node: 'a', age: 1000 }],
  ];
  for (const [words, first, second] of cases)
    it(words, () => {
      const [a, b] = [pod('a', first), pod('b', second)];
      for (const order of [
        [a, b],
        [b, a],
      ])
        assert.deepEqual(
          podsToDelete(order, [], 1, NOW).map(({ metadata }) => metadata.name),
          ['a'],
        );
    });

  it('the one whose node has more pods of the workload, those of siblings too', () => {
    const [a, b] = [pod('a', { node: 'crowded', ready: 1000 }), pod('b', { node: 'empty', ready: 10 })];
    const related = [a, b, pod('sibling', { node: 'crowded', ready: 10 })];
    assert.equal(podsToDelete([b, a], related, 1, NOW)[0], a);
  });

  it('treats ages of the same order as equal, so that the uid decides', () => {
    const [a, b] = [pod('a', { node: 'n', ready: 1000 }), pod('b', { node: 'n', ready: 990 })];
    assert.equal(podsToDelete([b, a], [], 1, NOW)[0], a);
  });
});

describe('pod template hash', () => {
  const template = (image: string, labels = { app: 'a' }): PodTemplateSpec =>
    ({ metadata: { labels }, spec: { containers: [{ name: 'c', image }] } }) as unknown as PodTemplateSpec;

  it('is safe to stand in names, and the same for equal templates', () => {
    const hash = templateHash(template('x'), undefined);
    assert.match(hash, /^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
    const reordered = {
      spec: template('x').spec,
      metadata: { labels: { app: 'a' } },
    } as unknown as PodTemplateSpec;
    assert.equal(templateHash(reordered, undefined), hash);
  });

  it('differs by template and by collision count', () => {
    const hashes = [
      templateHash(template('x'), undefined),
      templateHash(template('y'), undefined),
      templateHash(template('x'), 1),
      templateHash(template('x'), 2),
    ];
    assert.equal(new Set(hashes).size, hashes.length);
  });

  it('leaves its own label out of comparisons, and nothing else', () => {
    const labelled = template('x', { app: 'a', 'pod-template-hash': '123' } as never);
    assert.ok(equalTemplates(template('x'), labelled));
    assert.ok(!equalTemplates(template('y'), labelled));
    assert.ok(!equalTemplates(template('x', { app: 'b' }), labelled));
  });
});

describe('annotations of a ReplicaSet', () => {
  const d = {
    metadata: {
      annotations: {
        team: 'x',
        'kubectl.kubernetes.io/last-applied-configuration': '{}',
        'deployment.kubernetes.io/revision': '7',
      },
    },
  } as never;

  it('copies those of the Deployment but not its bookkeeping', () =>
    assert.deepEqual(withRevision(d, {}, 1), { team: 'x', 'deployment.kubernetes.io/revision': '1' }));

  it('keeps the history of revisions when it is rolled back to', () =>
    assert.deepEqual(
      withRevision(
        d,
        {
          'deployment.kubernetes.io/revision': '3',
          'deployment.kubernetes.io/revision-history': '1',
          team: 'x',
        },
        5,
      ),
      {
        team: 'x',
        'deployment.kubernetes.io/revision': '5',
        'deployment.kubernetes.io/revision-history': '1,3',
      },
    ));

  it('returns the same object when nothing changes', () => {
    const annotations = { team: 'x', 'deployment.kubernetes.io/revision': '5' };
    assert.equal(withRevision(d, annotations, 5), annotations);
    assert.equal(withRevision(d, annotations, 4), annotations);
  });
});

describe('Expectations', () => {
  it('hold until every creation was seen or failed', () => {
    const expectations = new Expectations(new FakeClock());
    expectations.expectCreations('a', 2);
    expectations.creationObserved('a');
    assert.equal(expectations.satisfied('a'), false);
    expectations.creationObserved('a');
    assert.equal(expectations.satisfied('a'), true);
  });

  it('count each deletion once', () => {
    const expectations = new Expectations(new FakeClock());
    expectations.expectDeletions('a', ['x', 'y']);
    expectations.deletionObserved('a', 'x');
    expectations.deletionObserved('a', 'x');
    assert.equal(expectations.satisfied('a'), false);
    expectations.deletionObserved('a', 'y');
    assert.equal(expectations.satisfied('a'), true);
  });

  it('end after five minutes', () => {
    const clock = new FakeClock();
    const expectations = new Expectations(clock);
    expectations.expectCreations('a', 1);
    clock.advance(5 * 60_000);
    assert.equal(expectations.satisfied('a'), false);
    clock.advance(1);
    assert.equal(expectations.satisfied('a'), true);
  });
});

describe('slow start', () => {
  it('stops after the batch that failed', async () => {
    let calls = 0;
    const result = await slowStart(100, async () => {
      if (++calls === 3) throw new Error('no');
    });
    assert.equal(calls, 3);
    assert.equal(result.successes, 2);
    assert.equal((result.error as Error).message, 'no');
  });

  it('makes all calls when none fails', async () => {
    let calls = 0;
    const result = await slowStart(100, async () => void calls++);
    assert.deepEqual([calls, result], [100, { successes: 100 }]);
  });
});

describe('node pod ranges', () => {
  it('are cut in order, and used again only after all others', () => {
    const ranges = new CidrSet('10.244.0.0/22', 24);
    assert.equal(ranges.allocate('a'), '10.244.0.0/24');
    assert.equal(ranges.allocate('b'), '10.244.1.0/24');
    ranges.release('10.244.0.0/24', 'a');
    assert.equal(ranges.allocate('c'), '10.244.2.0/24');
    assert.equal(ranges.allocate('d'), '10.244.3.0/24');
    assert.equal(ranges.allocate('e'), '10.244.0.0/24');
    assert.equal(ranges.allocate('f'), undefined);
  });

  it('skip what nodes have already, and are freed by their owner only', () => {
    const ranges = new CidrSet('192.168.0.0/23', 24);
    ranges.occupy('192.168.0.0/24', 'a');
    assert.equal(ranges.allocate('b'), '192.168.1.0/24');
    ranges.release('192.168.0.0/24', 'b');
    assert.equal(ranges.allocate('c'), undefined);
  });

  it('are of either IP family', () => {
    const ranges = new CidrSet('fd00:10:244::/56', 64);
    assert.deepEqual(
      ['a', 'b'].map((owner) => ranges.allocate(owner)),
      ['fd00:10:244::/64', 'fd00:10:244:1::/64'],
    );
  });

  it('need a range that can be cut', () => {
    assert.throws(() => new CidrSet('10.0.0.0/26', 24), /no room/);
    assert.throws(() => new CidrSet('fd00::/40', 64), /no room/);
  });
});

function node(
  name: string,
  ready: 'True' | 'False' | 'Unknown' | undefined,
  extra: Partial<Node['spec']> = {},
): Node {
  const conditions = ready === undefined ? [] : [{ type: 'Ready', status: ready }];
  return { metadata: { name, labels: {} }, spec: { ...extra }, status: { conditions } } as unknown as Node;
}

describe('taints of a node', () => {
  const short = (taints: Taint[] | undefined) =>
    taints?.map(({ key, effect }) => `${key.replace('node.kubernetes.io/', '')}:${effect}`);

  it('follow its conditions', () => {
    assert.equal(taintsFor(node('a', 'True'), true, ''), undefined);
    assert.deepEqual(short(taintsFor(node('a', 'False'), false, '')), ['not-ready:NoSchedule']);
    assert.deepEqual(short(taintsFor(node('a', 'Unknown'), true, '')), [
      'unreachable:NoSchedule',
      'unreachable:NoExecute',
    ]);
    assert.deepEqual(short(taintsFor(node('a', 'True', { unschedulable: true }), true, '')), [
      'unschedulable:NoSchedule',
    ]);
  });

  it('change from not-ready to unreachable, and leave those of others alone', () => {
    const others: Taint[] = [
      { key: 'gpu', value: 'x', effect: 'NoSchedule' },
      { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' },
      { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' },
    ];
    assert.deepEqual(short(taintsFor(node('a', 'Unknown', { taints: others }), true, '')), [
      'gpu:NoSchedule',
      'unreachable:NoSchedule',
      'unreachable:NoExecute',
    ]);
    assert.deepEqual(short(taintsFor(node('a', 'True', { taints: others }), true, '')), ['gpu:NoSchedule']);
  });
});

describe('a silent node', () => {
  it('has Unknown conditions, once', () => {
    const conditions = unknownConditions(node('a', 'True'), 'now');
    assert.deepEqual(
      conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`),
      [
        'Ready Unknown NodeStatusUnknown',
        'MemoryPressure Unknown NodeStatusNeverUpdated',
        'DiskPressure Unknown NodeStatusNeverUpdated',
        'PIDPressure Unknown NodeStatusNeverUpdated',
      ],
    );
    assert.equal(conditions?.[0]?.message, 'Kubelet stopped posting node status.');
    assert.equal(unknownConditions({ ...node('a', 'True'), status: { conditions } }, 'later'), undefined);
  });
});

describe('how long taints are tolerated', () => {
  const taints: Taint[] = [
    { key: 'a', effect: 'NoExecute' },
    { key: 'b', value: 'x', effect: 'NoExecute' },
  ];
  const cases: [string, Parameters<typeof toleratedSeconds>[1], number][] = [
    ['not at all without a toleration for each', [{ key: 'a', operator: 'Exists' }], 0],
    ['for ever by a toleration of everything', [{ operator: 'Exists' }], Number.POSITIVE_INFINITY],
    [
      'for the shortest of the times',
      [
        { key: 'a', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        { key: 'b', value: 'x', tolerationSeconds: 20 },
      ],
      20,
    ],
    [
      'not by another value',
      [
        { key: 'a', operator: 'Exists' },
        { key: 'b', value: 'y' },
      ],
      0,
    ],
    ['not with a negative time', [{ operator: 'Exists', tolerationSeconds: -1 }], 0],
  ];
  for (const [words, tolerations, seconds] of cases)
    it(words, () => assert.equal(toleratedSeconds(taints, tolerations), seconds));
});

describe('zones', () => {
  const many = (ready: number, unready: number) => [
    ...Array.from({ length: ready }, (_, i) => node(`r${i}`, 'True')),
    ...Array.from({ length: unready }, (_, i) => node(`u${i}`, 'Unknown')),
  ];

  it('are disrupted when most nodes are not ready', () => {
    assert.equal(zoneState(many(3, 1)), 'normal');
    assert.equal(zoneState(many(1, 2)), 'normal');
    assert.equal(zoneState(many(2, 3)), 'partial');
    assert.equal(zoneState(many(0, 1)), 'full');
  });

  it('are emptied one node in ten seconds, and not at all when everything is down', () => {
    const clock = new FakeClock();
    const pace = new EvictionPace(clock);
    const nodes = many(3, 2);
    assert.equal(pace.wait(nodes[3]!, nodes), 0);
    assert.equal(pace.wait(nodes[4]!, nodes), 10_000);
    clock.advance(10_000);
    assert.equal(pace.wait(nodes[4]!, nodes), 0);
    assert.equal(pace.wait(nodes[4]!, many(0, 3)), undefined);
    assert.equal(pace.wait(nodes[4]!, many(2, 3)), undefined);
  });
});

describe('conditions of an ending namespace', () => {
  it("tell what is left in upstream's words", () => {
    const conditions = contentConditions({
      objects: new Map([
        ['pods.', 2],
        ['deployments.apps', 1],
      ]),
      finalizers: new Map([['example.com/keep', 1]]),
      errors: [],
    });
    assert.deepEqual(
      conditions.filter(({ status }) => status === 'True').map(({ type, message }) => `${type}: ${message}`),
      [
        'NamespaceContentRemaining: Some resources are remaining: deployments.apps has 1 resource instances, pods. has 2 resource instances',
        'NamespaceFinalizersRemaining: Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances',
      ],
    );
  });
});
