import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Container, Pod, PodStatus } from '#types';
import { type ContainerRecord, podStatus } from '../../../src/agent/pods/status.js';
import type { ContainerStatus } from '../../../src/runtime/types.js';

const NOW = Date.UTC(2026, 0, 1, 12);

const run = (
  state: 'running' | 'exited',
  exitCode = 0,
  extra: Partial<ContainerStatus> = {},
): ContainerStatus => ({
  ...{ id: `id-${state}-${exitCode}`, sandboxId: 'u', name: 'a', attempt: 0, imageId: 'sha256:1', pid: 1 },
  ...{ createdAt: NOW - 5000, startedAt: NOW - 4000, finishedAt: state === 'exited' ? NOW - 1000 : 0 },
  ...{ exitCode, signal: 0, oomKilled: false, logPath: '', labels: {}, state },
  ...extra,
});

const record = (extra: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...{
    notes: new Map(),
    restartCount: 0,
    imageName: 'i:1',
    imageId: 'sha256:1',
    ready: false,
    started: false,
  },
  ...extra,
});

const up = record({ latest: run('running'), ready: true, started: true });

const RESTARTING = 'AllContainersRestarting';
const takesAll: Container = {
  ...{ name: 's', restartPolicy: 'Always' },
  restartPolicyRules: [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } }],
};
const taken = record({ latest: run('exited', 42) });

interface Given {
  policy?: string;
  init?: Container[];
  main?: Container[];
  records?: Record<string, ContainerRecord>;
  over?: boolean;
  previous?: PodStatus;
  failure?: { reason: string; message: string };
  spec?: object;
}

function status(given: Given): PodStatus {
  const pod = {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', uid: 'u', generation: 3 } },
    spec: {
      restartPolicy: given.policy ?? 'Always',
      initContainers: given.init,
      containers: given.main ?? [{ name: 'a', image: 'i' }],
      ...given.spec,
    },
  } as Pod;
  return podStatus({
    pod,
    records: given.records ?? {},
    previous: given.previous,
    hostIPs: ['10.0.0.1'],
    podIPs: ['10.244.0.2'],
    sandboxReady: true,
    over: given.over ?? false,
    ...(given.failure ? { failure: given.failure } : {}),
    startTime: NOW - 6000,
    now: NOW,
  });
}

const conditionsOf = (s: PodStatus) =>
  Object.fromEntries(
    (s.conditions ?? []).map((c) => [c.type, c.reason ? `${c.status} ${c.reason}` : c.status]),
  );

describe('podStatus', () => {
  const init = [{ name: 'i', image: 'i' }];
  const phases: [what: string, given: Given, phase: string][] = [
    ['nothing yet', {}, 'Pending'],
    ['running', { records: { a: up } }, 'Running'],
    ['init under way', { init, records: { i: record({ latest: run('running') }) } }, 'Pending'],
    [
      'init failed, Never',
      { init, policy: 'Never', records: { i: record({ latest: run('exited', 1) }) } },
      'Failed',
    ],
    ['init failed, Always', { init, records: { i: record({ latest: run('exited', 1) }) } }, 'Pending'],
    [
      'crashing',
      { records: { a: record({ latest: run('exited', 1), waiting: { reason: 'CrashLoopBackOff' } }) } },
      'Running',
    ],
    ['never started', { records: { a: record({ waiting: { reason: 'ErrImagePull' } }) } }, 'Pending'],
    ['one of two runs', { main: [{ name: 'a' }, { name: 'b' }], records: { a: up } }, 'Pending'],
    ['succeeded', { policy: 'Never', records: { a: record({ latest: run('exited') }) } }, 'Succeeded'],
    ['failed', { policy: 'Never', records: { a: record({ latest: run('exited', 2) }) } }, 'Failed'],
    [
      'failed, OnFailure',
      { policy: 'OnFailure', records: { a: record({ latest: run('exited', 2) }) } },
      'Running',
    ],
    ['ended by deletion', { over: true, records: { a: record({ latest: run('exited', 143) }) } }, 'Failed'],
    [
      'ended well by deletion',
      { over: true, records: { a: record({ latest: run('exited', 0) }) } },
      'Succeeded',
    ],
    [
      'past its deadline',
      {
        over: true,
        failure: { reason: 'DeadlineExceeded', message: 'm' },
        records: { a: record({ latest: run('exited') }) },
      },
      'Failed',
    ],
    [
      'succeeded, but a sidecar is still stopping',
      {
        init: [{ name: 's', restartPolicy: 'Always' }],
        policy: 'Never',
        previous: { phase: 'Running' } as PodStatus,
        records: { a: record({ latest: run('exited') }), s: up },
      },
      'Running',
    ],
    [
      'a sidecar takes all with it',
      { policy: 'Never', init: [takesAll], records: { s: taken, a: record({ latest: run('exited', 137) }) } },
      'Running',
    ],
    [
      'a step takes all with it',
      { policy: 'Never', init: [{ ...takesAll, restartPolicy: 'Never' }], records: { s: taken } },
      'Pending',
    ],
    ['final states stay', { previous: { phase: 'Succeeded' } as PodStatus, records: { a: up } }, 'Succeeded'],
  ];
  for (const [what, given, phase] of phases)
    it(`phase: ${what}`, () => assert.equal(status(given).phase, phase));

  it('tells of all containers that start over, once one may take all with it', () => {
    const shown = (records: Given['records']) => {
      const found = status({ init: [takesAll], records }).conditions?.find(({ type }) => type === RESTARTING);
      return [found?.status, found?.reason, found?.message];
    };
    assert.deepEqual(shown({ s: up, a: up }), ['False', undefined, undefined]);
    assert.deepEqual(shown({ s: taken, a: up }), [
      ...['True', 'RestartAllContainersStarted', 'container exited with restart policy rule'],
    ]);
    assert.deepEqual(shown({ s: { ...taken, again: true }, a: up }), ['False', undefined, undefined]);
    assert.ok(!(RESTARTING in conditionsOf(status({ records: { a: up } }))));
  });

  const conditions: [what: string, given: Given, expected: Record<string, string>][] = [
    [
      'running and ready',
      { records: { a: up } },
      { Initialized: 'True', Ready: 'True', ContainersReady: 'True', PodScheduled: 'True' },
    ],
    [
      'not ready',
      { records: { a: record({ latest: run('running'), started: true }) } },
      { Initialized: 'True', Ready: 'False ContainersNotReady', ContainersReady: 'False ContainersNotReady' },
    ],
    [
      'initialising',
      { init },
      { Initialized: 'False ContainersNotInitialized', Ready: 'False ContainersNotReady' },
    ],
    [
      'succeeded',
      { policy: 'Never', over: true, records: { a: record({ latest: run('exited') }) } },
      {
        ...{ PodReadyToStartContainers: 'False', Initialized: 'True PodCompleted' },
        ...{ Ready: 'False PodCompleted', ContainersReady: 'False PodCompleted' },
      },
    ],
    [
      'failed',
      { policy: 'Never', over: true, records: { a: record({ latest: run('exited', 1) }) } },
      { Initialized: 'True', Ready: 'False PodFailed', ContainersReady: 'False PodFailed' },
    ],
    [
      'a readiness gate is closed',
      { records: { a: up }, spec: { readinessGates: [{ conditionType: 'x/y' }] } },
      { Ready: 'False ReadinessGatesNotReady', ContainersReady: 'True' },
    ],
  ];
  for (const [what, given, expected] of conditions)
    it(`conditions: ${what}`, () => {
      const found = conditionsOf(status(given));
      for (const [type, value] of Object.entries(expected)) assert.equal(found[type], value, type);
    });

  it('names the containers that are not ready or not initialised', () => {
    const messages = status({ init })
      .conditions!.map((c) => c.message)
      .filter(Boolean);
    assert.deepEqual(messages, [
      'containers with incomplete status: [i]',
      'containers with unready status: [a]',
      'containers with unready status: [a]',
    ]);
  });

  it('keeps the time of a condition that has not changed', () => {
    const before = status({ records: { a: up } });
    const old = '2025-12-31T00:00:00Z';
    const previous = {
      ...before,
      conditions: before.conditions!.map((c) => ({ ...c, lastTransitionTime: old })),
    };
    const after = status({ previous, records: { a: record({ latest: run('running'), started: true }) } });
    const time = (type: string) => after.conditions!.find((c) => c.type === type)?.lastTransitionTime;
    assert.deepEqual([time('Initialized'), time('Ready')], [old, '2026-01-01T12:00:00Z']);
  });

  const states: [what: string, given: Given, expected: object][] = [
    ['being made', {}, { state: { waiting: { reason: 'ContainerCreating' } }, ready: false, started: false }],
    [
      'its image is here, it is not',
      { init, records: { a: record() } },
      { image: 'i:1', imageID: '', ready: false },
    ],
    ['behind init containers', { init }, { state: { waiting: { reason: 'PodInitializing' } } }],
    [
      'running',
      { records: { a: up } },
      {
        ...{
          state: { running: { startedAt: '2026-01-01T11:59:56Z' } },
          lastState: {},
          ready: true,
          started: true,
        },
        ...{ containerID: 'keelson://id-running-0', image: 'i:1', imageID: 'sha256:1', restartCount: 0 },
      },
    ],
    [
      'waiting for a restart: the last run is the last state',
      {
        records: {
          a: record({
            latest: run('exited', 3),
            waiting: { reason: 'CrashLoopBackOff', message: 'm' },
            restartCount: 2,
          }),
        },
      },
      {
        state: { waiting: { reason: 'CrashLoopBackOff', message: 'm' } },
        lastState: {
          terminated: {
            ...{ exitCode: 3, reason: 'Error', startedAt: '2026-01-01T11:59:56Z' },
            ...{ finishedAt: '2026-01-01T11:59:59Z', containerID: 'keelson://id-exited-3' },
          },
        },
        restartCount: 2,
      },
    ],
  ];
  for (const [what, given, expected] of states)
    it(`container: ${what}`, () => {
      const [found] = status(given).containerStatuses!;
      for (const [field, value] of Object.entries(expected))
        assert.deepEqual(found![field as keyof typeof found], value, field);
    });

  const reasons: [ContainerStatus, ContainerRecord['notes'], string, string | undefined][] = [
    [run('exited', 0), new Map(), 'Completed', undefined],
    [run('exited', 1), new Map(), 'Error', undefined],
    [run('exited', 137, { oomKilled: true }), new Map(), 'OOMKilled', undefined],
    [run('exited', 1), new Map([['id-exited-1', { message: 'last words' }]]), 'Error', 'last words'],
    [
      run('exited', 128),
      new Map([['id-exited-128', { reason: 'StartError', message: 'm' }]]),
      'StartError',
      'm',
    ],
  ];
  for (const [latest, notes, reason, message] of reasons)
    it(`terminated: ${reason}${message ? ` with ${message}` : ''}`, () => {
      const [found] = status({ policy: 'Never', records: { a: record({ latest, notes }) } })
        .containerStatuses!;
      assert.deepEqual(
        [found!.state?.terminated?.reason, found!.state?.terminated?.message],
        [reason, message],
      );
    });
});
