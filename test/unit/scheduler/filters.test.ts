/** Filter plugins and the words of what fits nowhere, as tables. */
import assert from 'node:assert/strict';
import type { Node, Pod } from '#types';
import { filterNode, findNode } from '../../../src/scheduler/algorithm.js';
import { shortened } from '../../../src/scheduler/messages.js';

import { cacheOf, cycleOf, infoOf, node, pod } from './objects.js';

/** The reasons why a pod does not fit on a node with some pods; '' when it does. */
function reasons(p: Pod, n: Node, ...others: Pod[]): string {
  const cache = cacheOf([n, ...others]);
  const rejection = filterNode(cycleOf(p, cache), infoOf(cache, n.metadata.name));
  return rejection?.reasons.join(', ') ?? '';
}

const affinity = (key: string, operator: string, values?: string[]): Partial<Pod['spec']> => ({
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key, operator, ...(values && { values }) }] }],
      },
    },
  },
});
const MISMATCH = "node(s) didn't match Pod's node affinity/selector";
const UNTOLERATED = 'node(s) had untolerated taint(s)';
const port = (hostPort: number, hostIP?: string, protocol?: string): Partial<Pod['spec']> => ({
  containers: [
    { name: 'c', image: 'app', ports: [{ containerPort: 80, hostPort, hostIP, protocol }] },
  ] as never,
});
const PORTS = "node(s) didn't have free ports for the requested pod ports";
const gpu = node('a', { labels: { disk: 'ssd', cores: '8' } });

describe('scheduler filters', () => {
  const cases: [string, Pod, Node, Pod[], string][] = [
    ['an empty node', pod(), node('a'), [], ''],
    [
      'CPU',
      pod({ requests: { cpu: '3' } }),
      node('a'),
      [pod({ requests: { cpu: '1500m' } })],
      'Insufficient cpu',
    ],
    [
      'exactly what is left',
      pod({ requests: { cpu: '2500m' } }),
      node('a'),
      [pod({ requests: { cpu: '1500m' } })],
      '',
    ],
    [
      "several resources in upstream's order",
      pod({ requests: { 'example.com/gpu': '1', memory: '9Gi', cpu: '5' } }),
      node('a'),
      [],
      'Insufficient cpu, Insufficient memory, Insufficient example.com/gpu',
    ],
    [
      'the number of pods',
      pod(),
      node('a', { allocatable: { cpu: '1', pods: '1' } }),
      [pod()],
      'Too many pods',
    ],
    [
      'a cordoned node',
      pod(),
      node('a', { spec: { unschedulable: true } }),
      [],
      'node(s) were unschedulable',
    ],
    [
      'a cordoned node for whom tolerates it',
      pod({ spec: { tolerations: [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }] } }),
      node('a', { spec: { unschedulable: true } }),
      [],
      '',
    ],
    [
      'a taint',
      pod(),
      node('a', { spec: { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] } }),
      [],
      UNTOLERATED,
    ],
    [
      'NoExecute',
      pod(),
      node('a', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } }),
      [],
      UNTOLERATED,
    ],
    [
      'PreferNoSchedule',
      pod(),
      node('a', { spec: { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] } }),
      [],
      '',
    ],
    [
      'a tolerated taint',
      pod({ spec: { tolerations: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] } }),
      node('a', { spec: { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] } }),
      [],
      '',
    ],
    ['a nodeSelector', pod({ spec: { nodeSelector: { disk: 'ssd' } } }), gpu, [], ''],
    ['a nodeSelector of another value', pod({ spec: { nodeSelector: { disk: 'hdd' } } }), gpu, [], MISMATCH],
    ['In', pod({ spec: affinity('disk', 'In', ['hdd', 'ssd']) }), gpu, [], ''],
    ['NotIn', pod({ spec: affinity('disk', 'NotIn', ['ssd']) }), gpu, [], MISMATCH],
    ['NotIn without the label', pod({ spec: affinity('zone', 'NotIn', ['x']) }), gpu, [], ''],
    ['Exists', pod({ spec: affinity('zone', 'Exists') }), gpu, [], MISMATCH],
    ['DoesNotExist', pod({ spec: affinity('zone', 'DoesNotExist') }), gpu, [], ''],
    ['Gt', pod({ spec: affinity('cores', 'Gt', ['4']) }), gpu, [], ''],
    ['Lt', pod({ spec: affinity('cores', 'Lt', ['8']) }), gpu, [], MISMATCH],
    ['Gt of what is no number', pod({ spec: affinity('disk', 'Gt', ['4']) }), gpu, [], MISMATCH],
    ['a taken host port', pod({ spec: port(80) }), node('a'), [pod({ spec: port(80) })], PORTS],
    ['another host port', pod({ spec: port(81) }), node('a'), [pod({ spec: port(80) })], ''],
    [
      'the port of another protocol',
      pod({ spec: port(80, undefined, 'UDP') }),
      node('a'),
      [pod({ spec: port(80) })],
      '',
    ],
    [
      'the port of another address',
      pod({ spec: port(80, '10.0.0.1') }),
      node('a'),
      [pod({ spec: port(80, '10.0.0.2') })],
      '',
    ],
    [
      'a port that is taken on all addresses',
      pod({ spec: port(80, '10.0.0.1') }),
      node('a'),
      [pod({ spec: port(80) })],
      PORTS,
    ],
    [
      'a port on all addresses that is taken on one',
      pod({ spec: port(80) }),
      node('a'),
      [pod({ spec: port(80, '10.0.0.2') })],
      PORTS,
    ],
  ];
  for (const [words, p, n, others, expected] of cases)
    it(`${words}: ${expected || 'fits'}`, () => assert.equal(reasons(p, n, ...others), expected));

  it('matches a node by its name field', () => {
    const terms = [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['b'] }] }];
    const spec = {
      affinity: {
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
      },
    };
    assert.equal(reasons(pod({ spec }), node('a')), MISMATCH);
    assert.equal(reasons(pod({ spec }), node('b')), '');
  });

  it('frees what a removed pod had', () => {
    const big = pod({ name: 'big', requests: { cpu: '4' } });
    const cache = cacheOf([node('a'), big]);
    const cycle = cycleOf(pod({ requests: { cpu: '1' } }), cache);
    assert.ok(filterNode(cycle, infoOf(cache, 'a')));
    cache.removePod('big');
    assert.equal(filterNode(cycle, infoOf(cache, 'a')), undefined);
  });
});

describe('the note of an event', () => {
  it('is cut where it is too long', () => {
    assert.equal(shortened('x'.repeat(1024)).length, 1024);
    assert.equal(shortened('x'.repeat(1025)), `${'x'.repeat(1020)} ...`);
  });
});

describe('what the scheduler says when a pod fits nowhere', () => {
  const say = (p: Pod, ...nodes: [Node, ...Pod[]][]) =>
    findNode(cycleOf(p, cacheOf(...nodes)), 0, () => 0).message;

  it('counts the reasons, sorted, and tells that preemption would not help', () => {
    assert.equal(
      say(
        pod({ requests: { cpu: '2' } }),
        [node('a'), pod({ requests: { cpu: '3' } })],
        [node('b', { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } })],
        [node('c', { spec: { unschedulable: true } })],
      ),
      '0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. ' +
        'no new claims to deallocate, preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.',
    );
  });

  it('knows when a node could never have enough', () =>
    assert.equal(
      say(pod({ requests: { cpu: '64' } }), [node('a')]),
      '0/1 nodes are available: 1 Insufficient cpu. ' +
        'no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
    ));

  const named = (...lists: string[][]): Partial<Pod['spec']> => {
    const matchFields = lists.map((values) => ({ key: 'metadata.name', operator: 'In', values }));
    const required = { nodeSelectorTerms: [{ matchFields }] };
    return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } } };
  };

  it('looks only at the nodes that the pod names, as those of daemons do', () => {
    const tainted = node('b', { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } });
    assert.equal(
      say(pod({ requests: { cpu: '64' }, spec: named(['a']) }), [node('a')], [tainted], [node('c')]),
      "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. " +
        'no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.',
    );
    assert.match(
      say(pod({ spec: named(['a'], ['b']) }), [node('a')]),
      /^0\/1 nodes are available: pod affinity terms conflict\. no new claims/,
    );
  });

  it('says so when there is no node', () => assert.equal(say(pod()), 'no nodes available to schedule pods'));

  it('says that the pod may not preempt', () =>
    assert.match(
      say(pod({ requests: { cpu: '64' }, spec: { preemptionPolicy: 'Never' } }), [node('a')]),
      / no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never\.$/,
    ));
});
