import assert from 'node:assert/strict';
import type { Container, Node, Pod, PodSpec } from '#types';
import { admit, admitUnderPressure } from '../../../src/agent/pods/admission.js';

const allocatable = { cpu: '2', memory: '1Gi', 'ephemeral-storage': '10Gi', pods: '3' };
const node = {
  metadata: { name: 'n', labels: { disk: 'ssd' } },
  spec: { taints: [{ key: 'out', effect: 'NoExecute' }] },
} as unknown as Node;

function pod(requests: Record<string, string>, container: Partial<Container> = {}, spec: object = {}): Pod {
  const containers = [{ name: 'c', resources: { requests }, ...container }];
  const tolerations = [{ key: 'out', operator: 'Exists' }];
  return { metadata: { name: 'p' }, spec: { containers, tolerations, ...spec } as PodSpec } as Pod;
}

describe('admit', () => {
  const port = { ports: [{ containerPort: 80, hostPort: 80 }] };
  const udp = { ports: [{ containerPort: 80, hostPort: 80, protocol: 'UDP' }] };
  const cases: [string, Pod, Pod[], string | undefined, RegExp?][] = [
    ['what fits', pod({ cpu: '2', memory: '1Gi' }), [], undefined],
    ['what asks for nothing', pod({}), [pod({ cpu: '2' })], undefined],
    [
      'too much CPU',
      pod({ cpu: '1500m' }),
      [pod({ cpu: '1' })],
      'OutOfcpu',
      /^Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000$/,
    ],
    ['too much memory', pod({ memory: '2Gi' }), [], 'OutOfmemory', /requested: 2147483648, used: 0/],
    [
      'too many pods',
      pod({}),
      [pod({}), pod({}), pod({})],
      'OutOfpods',
      /requested: 1, used: 3, capacity: 3/,
    ],
    ['what the node does not know', pod({ 'example.com/x': '1' }), [], undefined],
    [
      'a selector',
      pod({}, {}, { nodeSelector: { disk: 'hdd' } }),
      [],
      'NodeAffinity',
      /^Predicate NodeAffinity failed: node\(s\) didn't match Pod's node affinity\/selector$/,
    ],
    ['a selector that matches', pod({}, {}, { nodeSelector: { disk: 'ssd' } }), [], undefined],
    ['a taken host port', pod({}, port), [pod({}, port)], 'NodePorts'],
    ['a host port of another protocol', pod({}, udp), [pod({}, port)], undefined],
    ['a taint', pod({}, {}, { tolerations: [] }), [], 'TaintToleration'],
    ['another system', pod({}, {}, { os: { name: 'windows' } }), [], 'PodOSNotSupported'],
  ];
  for (const [what, candidate, others, reason, message] of cases)
    it(what, () => {
      const rejection = admit(candidate, node, allocatable, others);
      assert.equal(rejection?.reason, reason);
      if (message) assert.match(rejection!.message, message);
    });

  it('lets what ran here before stay when labels and taints have changed', () => {
    const known = pod({}, {}, { nodeSelector: { disk: 'hdd' }, tolerations: [] });
    assert.equal(
      admit({ ...known, status: { startTime: '2026-01-01T00:00:00Z' } }, node, allocatable, []),
      undefined,
    );
  });
});

describe('admission under pressure', () => {
  const critical = pod({}, {}, { priority: 2_000_001_000 });
  const tolerant = pod(
    {},
    {},
    {
      tolerations: [{ key: 'node.kubernetes.io/memory-pressure', operator: 'Exists' }],
    },
  );
  const cases: [string, Pod, string[], string | undefined][] = [
    ['all without any', pod({}), [], undefined],
    ['no BestEffort pod', pod({}), ['MemoryPressure'], 'The node had condition: [MemoryPressure]. '],
    ['a BestEffort pod that tolerates it', tolerant, ['MemoryPressure'], undefined],
    ['a Burstable pod', pod({ memory: '1Mi' }), ['MemoryPressure'], undefined],
    [
      'nothing on a full disk',
      pod({ memory: '1Mi' }),
      ['DiskPressure'],
      'The node had condition: [DiskPressure]. ',
    ],
    [
      'nothing with several',
      tolerant,
      ['MemoryPressure', 'PIDPressure'],
      'The node had condition: [MemoryPressure PIDPressure]. ',
    ],
    ['what the system needs', critical, ['DiskPressure'], undefined],
  ];
  for (const [what, given, pressures, message] of cases)
    it(what, () => assert.equal(admitUnderPressure(given, pressures)?.message, message));
});
