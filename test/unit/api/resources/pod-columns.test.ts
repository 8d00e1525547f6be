import assert from 'node:assert/strict';
import type { ContainerStatus, Pod } from '#types';
import { pods } from '../../../../src/api/resources/index.js';
import { ago, object, row } from './support.js';

describe('pod columns', () => {
  const status = (fields: Partial<ContainerStatus>): Record<string, unknown> => ({
    name: 'c',
    restartCount: 0,
    ready: false,
    ...fields,
  });
  const running = status({ ready: true, state: { running: {} } });
  const ended = (exitCode: number, reason = '', signal?: number) =>
    status({ state: { terminated: { exitCode, reason, ...(signal ? { signal } : {}) } } });
  const waiting = (reason: string) => status({ state: { waiting: { reason } } });
  const spec = (init = 0) => ({
    containers: [{ name: 'c' }],
    initContainers: Array.from({ length: init }, (_, i) => ({ name: `i${i}` })),
  });
  const pod = (of: Record<string, unknown>, podStatus: Record<string, unknown>, metadata = {}): Pod =>
    object(pods, { spec: of, status: podStatus }, metadata);

  const deleted = { deletionTimestamp: ago(1) };
  const initialized = [{ type: 'Initialized', status: 'True' }];
  const cases: [string, Pod, string, string, string][] = [
    ['pending', pod(spec(), { phase: 'Pending' }), '0/1', 'Pending', '0'],
    ['running', pod(spec(), { phase: 'Running', containerStatuses: [running] }), '1/1', 'Running', '0'],
    [
      'creating',
      pod(spec(), { phase: 'Pending', containerStatuses: [waiting('ContainerCreating')] }),
      '0/1',
      'ContainerCreating',
      '0',
    ],
    [
      'crashing',
      pod(spec(), {
        phase: 'Running',
        containerStatuses: [
          {
            ...waiting('CrashLoopBackOff'),
            restartCount: 3,
            lastState: { terminated: { exitCode: 1, finishedAt: ago(300) } },
          },
        ],
      }),
      '0/1',
      'CrashLoopBackOff',
      '3 (5m ago)',
    ],
    [
      'completed',
      pod(spec(), { phase: 'Succeeded', containerStatuses: [ended(0, 'Completed')] }),
      '0/1',
      'Completed',
      '0',
    ],
    ['exit code', pod(spec(), { phase: 'Failed', containerStatuses: [ended(3)] }), '0/1', 'ExitCode:3', '0'],
    [
      'signal',
      pod(spec(), { phase: 'Failed', containerStatuses: [ended(137, '', 9)] }),
      '0/1',
      'Signal:9',
      '0',
    ],
    [
      'one of two completed',
      pod(spec(), {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [ended(0, 'Completed'), running],
      }),
      '1/1',
      'Running',
      '0',
    ],
    [
      'one of two completed, not ready',
      pod(spec(), { phase: 'Running', containerStatuses: [ended(0, 'Completed'), running] }),
      '1/1',
      'NotReady',
      '0',
    ],
    [
      'first init container',
      pod(spec(2), {
        phase: 'Pending',
        initContainerStatuses: [status({ name: 'i0', state: { running: {} } })],
        containerStatuses: [waiting('PodInitializing')],
      }),
      '0/1',
      'Init:0/2',
      '0',
    ],
    [
      'second init container',
      pod(spec(2), {
        phase: 'Pending',
        initContainerStatuses: [
          { ...ended(0, 'Completed'), name: 'i0' },
          { ...waiting('PodInitializing'), name: 'i1' },
        ],
      }),
      '0/1',
      'Init:1/2',
      '0',
    ],
    [
      'failing init container',
      pod(spec(1), {
        phase: 'Pending',
        initContainerStatuses: [{ ...waiting('CrashLoopBackOff'), name: 'i0', restartCount: 2 }],
      }),
      '0/1',
      'Init:CrashLoopBackOff',
      '2',
    ],
    [
      'failed init container',
      pod(spec(1), { phase: 'Failed', initContainerStatuses: [{ ...ended(2), name: 'i0' }] }),
      '0/1',
      'Init:ExitCode:2',
      '0',
    ],
    [
      'restarts of init containers no longer count',
      pod(spec(1), {
        phase: 'Running',
        conditions: initialized,
        initContainerStatuses: [{ ...ended(0, 'Completed'), name: 'i0', restartCount: 4 }],
        containerStatuses: [running],
      }),
      '1/1',
      'Running',
      '0',
    ],
    [
      'sidecar',
      pod(
        { containers: [{ name: 'c' }], initContainers: [{ name: 's', restartPolicy: 'Always' }] },
        {
          phase: 'Running',
          initContainerStatuses: [{ ...running, name: 's', started: true, restartCount: 1 }],
          containerStatuses: [running],
        },
      ),
      '2/2',
      'Running',
      '1',
    ],
    [
      'terminating',
      pod(spec(), { phase: 'Running', containerStatuses: [running] }, deleted),
      '1/1',
      'Terminating',
      '0',
    ],
    ['on a lost node', pod(spec(), { phase: 'Running', reason: 'NodeLost' }, deleted), '0/1', 'Unknown', '0'],
    ['evicted', pod(spec(), { phase: 'Failed', reason: 'Evicted' }), '0/1', 'Evicted', '0'],
    [
      'gated',
      pod(spec(), {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }],
      }),
      '0/1',
      'SchedulingGated',
      '0',
    ],
  ];
  for (const [what, value, ready, reason, restarts] of cases)
    it(what, () => {
      const cells = row(pods, value);
      assert.deepEqual([cells['Ready'], cells['Status'], cells['Restarts']], [ready, reason, restarts]);
    });

  it('wide', () => {
    const plain = row(pods, pod(spec(), { phase: 'Pending' }));
    assert.deepEqual(
      ['Age', 'IP', 'Node', 'Nominated Node', 'Readiness Gates'].map((name) => plain[name]),
      ['90s', '<none>', '<none>', '<none>', '<none>'],
    );
    const full = row(
      pods,
      pod(
        { ...spec(), nodeName: 'n', readinessGates: [{ conditionType: 'a' }, { conditionType: 'b' }] },
        {
          phase: 'Running',
          podIPs: [{ ip: '10.0.0.9' }],
          nominatedNodeName: 'm',
          conditions: [{ type: 'a', status: 'True' }],
        },
      ),
    );
    assert.deepEqual(
      ['IP', 'Node', 'Nominated Node', 'Readiness Gates'].map((name) => full[name]),
      ['10.0.0.9', 'n', 'm', '1/2'],
    );
  });
});
