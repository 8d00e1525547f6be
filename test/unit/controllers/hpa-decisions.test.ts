/** What an autoscaler decides, without an API server. */
import assert from 'node:assert/strict';
import type { Pod } from '#types';
import { timestamp } from '../../../src/api/machinery/clock.js';
import { defaultBehavior } from '../../../src/api/resources/autoscaling/horizontal-pod-autoscaler.js';
import { limit, stabilize } from '../../../src/controllers/hpa/behavior.js';
import { type PodMetrics, proposeReplicas, type Question } from '../../../src/controllers/hpa/replicas.js';

const NOW = Date.UTC(2026, 0, 1, 12);
const MINUTE = 60_000;

interface Played {
  /** Millicores in use; absent: no metrics. */
  cpu?: number;
  phase?: string;
  ready?: boolean;
  /** ms ago. */
  started?: number;
  /** ms ago: the last change of Ready. */
  changed?: number;
}

function ask(played: Played[], changes: Partial<Question> = {}): Question {
  const metrics: PodMetrics = new Map();
  const pods = played.map(
    ({ cpu, phase = 'Running', ready = true, started = 20 * MINUTE, changed = 10 * MINUTE }, i) => {
      if (cpu !== undefined) metrics.set(`p${i}`, { value: cpu, time: NOW, windowMs: 15_000 });
      return {
        metadata: { name: `p${i}` },
        spec: { containers: [{ name: 'c', resources: { requests: { cpu: '100m' } } }] },
        status: {
          phase,
          startTime: timestamp(NOW - started),
          conditions: [
            { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: timestamp(NOW - changed) },
          ],
        },
      } as unknown as Pod;
    },
  );
  return {
    resource: 'cpu',
    target: { utilization: 50 },
    currentReplicas: played.length,
    pods,
    metrics,
    tolerances: { up: 0.1, down: 0.1 },
    now: NOW,
    ...changes,
  };
}

const running = (...cpu: number[]): Played[] => cpu.map((value) => ({ cpu: value }));

describe('Replicas that a metric asks for', () => {
  const cases: [string, Question, number][] = [
    ['twice the use, twice the pods', ask(running(100, 100)), 4],
    ['half the use, half the pods', ask(running(25, 25, 25, 25)), 2],
    ['rounded up', ask(running(60, 60, 60)), 4],
    ['within the tolerance, no change', ask(running(54, 54)), 2],
    ['just above the tolerance', ask(running(56, 56)), 3],
    ['a wider tolerance upwards', ask(running(70, 70), { tolerances: { up: 0.5, down: 0.1 } }), 2],
    ['a pod without metrics counts as idle when scaling up', ask([...running(100, 100), {}]), 4],
    ['a pod without metrics counts as full when scaling down', ask([...running(10, 10, 10), {}]), 3],
    ['what is not known does not turn the direction', ask([...running(60), {}, {}]), 3],
    ['pending pods count as idle when scaling up', ask([...running(150, 150), { phase: 'Pending' }]), 6],
    ['failed pods do not count', ask([...running(100, 100), { cpu: 500, phase: 'Failed' }]), 4],
    [
      'CPU of a pod that has just got ready does not count',
      ask([...running(50), { cpu: 900, started: 30_000, changed: 5_000 }]),
      2,
    ],
    [
      'CPU of a young pod that has been ready for a window counts',
      ask([...running(50), { cpu: 150, started: MINUTE, changed: 30_000 }]),
      4,
    ],
    [
      'a pod that was ready once counts',
      ask([...running(100), { cpu: 100, ready: false, started: 20 * MINUTE, changed: MINUTE }]),
      4,
    ],
    ['amounts per pod', ask(running(300, 500), { target: { average: 200 } }), 4],
  ];
  for (const [what, question, replicas] of cases)
    it(what, () => assert.equal(proposeReplicas(question).replicas, replicas));

  it('tells the use', () => {
    assert.deepEqual(proposeReplicas(ask(running(80, 40))), { replicas: 3, utilization: 60, average: 60 });
  });

  it('tells why it can say nothing', () => {
    const error = (question: Question) => {
      try {
        proposeReplicas(question);
      } catch (e) {
        return (e as Error).message;
      }
      return 'none';
    };
    assert.equal(error(ask([])), 'no pods returned by selector while calculating replica count');
    assert.equal(
      error(ask([{ cpu: 5, phase: 'Pending' }])),
      'did not receive metrics for targeted pods (pods might be unready)',
    );
    const bare = ask(running(5));
    bare.pods[0]!.spec.containers[0]!.resources = {};
    assert.equal(error(bare), 'missing request for cpu in container c of Pod p0');
  });

  it('looks at one container alone', () => {
    const question = ask(running(100, 100), { container: 'c' });
    for (const pod of question.pods) pod.spec.containers.push({ name: 'side' } as never);
    assert.equal(proposeReplicas(question).replicas, 4);
  });
});

describe('Stabilization of an autoscaler', () => {
  const ago = (ms: number, replicas: number) => ({ time: NOW - ms, replicas });
  it('takes the highest proposal of five minutes when nothing is said', () => {
    const recent = [ago(4 * MINUTE, 8), ago(6 * MINUTE, 20)];
    assert.deepEqual(stabilize(3, 8, recent, undefined, NOW), {
      replicas: 8,
      reason: 'ScaleDownStabilized',
      message:
        'recent recommendations were higher than current one, applying the highest recent recommendation',
    });
    assert.equal(stabilize(9, 8, recent, undefined, NOW).reason, 'ReadyForNewScale');
  });

  it('takes the lowest proposal of the window upwards', () => {
    const rules = defaultBehavior({ scaleUp: { stabilizationWindowSeconds: 60 } });
    const verdict = stabilize(10, 3, [ago(30_000, 4), ago(90_000, 1)], rules, NOW);
    assert.deepEqual([verdict.replicas, verdict.reason], [4, 'ScaleUpStabilized']);
  });

  it('follows at once with windows of 0', () => {
    const rules = defaultBehavior({ scaleDown: { stabilizationWindowSeconds: 0 } });
    assert.equal(stabilize(1, 8, [ago(1000, 8)], rules, NOW).replicas, 1);
  });
});

describe('Limits of an autoscaler', () => {
  const limits = { min: 2, max: 100 };
  it('doubles at most, or goes to 4, without a behavior', () => {
    const of = (desired: number, current: number) => limit(desired, current, limits, undefined, [], NOW);
    assert.deepEqual([of(50, 10).replicas, of(50, 10).reason], [20, 'ScaleUpLimit']);
    assert.equal(of(50, 1).replicas, 4);
    assert.equal(of(1, 10).reason, 'TooFewReplicas');
    assert.equal(of(15, 10).reason, 'DesiredWithinRange');
    const few = limit(50, 10, { min: 2, max: 15 }, undefined, [], NOW);
    assert.deepEqual([few.replicas, few.reason], [15, 'TooManyReplicas']);
  });

  const pods = (value: number, periodSeconds = 60) => ({ type: 'Pods', value, periodSeconds });
  const percent = (value: number, periodSeconds = 60) => ({ type: 'Percent', value, periodSeconds });

  it('counts what was done within a period of a policy', () => {
    const rules = defaultBehavior({ scaleUp: { policies: [pods(4)] } });
    const done = [
      { time: NOW - 30_000, change: 3 },
      { time: NOW - 90_000, change: 5 },
    ];
    assert.equal(limit(50, 10, limits, rules, done, NOW).replicas, 11);
    assert.equal(limit(50, 10, limits, rules, [], NOW).replicas, 14);
  });

  it('lets the policy decide that selectPolicy chooses', () => {
    const policies = [pods(4), percent(100)];
    const up = (selectPolicy: string) =>
      limit(50, 10, limits, defaultBehavior({ scaleUp: { policies, selectPolicy } }), [], NOW).replicas;
    assert.deepEqual([up('Max'), up('Min'), up('Disabled')], [20, 14, 10]);
    const down = (selectPolicy: string) =>
      limit(
        2,
        20,
        limits,
        defaultBehavior({ scaleDown: { policies: [pods(4), percent(10)], selectPolicy } }),
        [],
        NOW,
      );
    assert.deepEqual([down('Max').replicas, down('Min').replicas, down('Disabled').replicas], [16, 18, 20]);
    assert.equal(down('Max').reason, 'ScaleDownLimit');
  });
});
