/** The HorizontalPodAutoscaler controller against an API server, with metrics from a played node. */
import assert from 'node:assert/strict';
import type { AutoscalingV2HorizontalPodAutoscaler as Autoscaler, Pod } from '#types';
import { timestamp } from '../../../src/api/machinery/clock.js';
import {
  deployments,
  horizontalPodAutoscalers,
  horizontalPodAutoscalersV1,
  pods,
} from '../../../src/api/resources/index.js';
import { podMetrics } from '../../../src/api/resources/metrics/metrics.js';
import { startDeploymentController } from '../../../src/controllers/deployment/index.js';
import { startHorizontalPodAutoscaler } from '../../../src/controllers/hpa/index.js';
import { startReplicaSetController } from '../../../src/controllers/replicaset/index.js';
import type { NodeStreams } from '../../../src/hub/node-streams.js';
import { Harness, podTemplate } from './harness.js';

describe('HorizontalPodAutoscaler controller', function () {
  this.timeout(20_000);
  let h: Harness;
  /** Cores that every pod uses. */
  let use = 0.1;
  const born = new Map<string, number>();

  beforeEach(async () => {
    h = await Harness.start(
      startDeploymentController,
      startReplicaSetController,
      startHorizontalPodAutoscaler,
    );
    use = 0.1;
    h.api.setNodeStreams({ stats } as unknown as NodeStreams);
    await h.createNode('n1');
    const template = podTemplate('web');
    template.spec!.containers[0]!.resources = { requests: { cpu: '100m', memory: '64Mi' } };
    await h.createDeployment('web', 2, { template });
    await runPods(2);
  });
  // The clock has to go on for a measurement under way.
  afterEach(() => moving(h.close()));

  /** Waits while time passes. */
  async function moving<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    void promise.finally(() => {
      done = true;
    });
    await h.until('an end', () => done);
    return promise;
  }

  /** Counters that grow by `use` a second. */
  async function stats() {
    const time = h.clock.now();
    return {
      node: { time, cpuNanos: time * 1e6, workingSetBytes: 1 << 30 },
      pods: (await h.list(pods)).map(({ metadata }) => {
        const { uid = '', namespace = '', name } = metadata;
        const since = born.get(uid) ?? time;
        born.set(uid, since);
        const cpuNanos = (time - since) * 1e6 * use;
        const container = {
          id: uid,
          name: 'web',
          startedAt: since,
          time,
          cpuNanos,
          workingSetBytes: 32 << 20,
        };
        return { uid, namespace, name, containers: [container] };
      }),
    };
  }

  /** Plays the scheduler and the kubelet for all pods. */
  async function runPods(count: number): Promise<void> {
    await h.until(`${count} pods`, async () => (await alive()).length === count);
    for (const pod of await alive()) {
      if (pod.status?.phase === 'Running') continue;
      const binding = { apiVersion: 'v1', kind: 'Binding', target: { kind: 'Node', name: 'n1' } };
      const metadata = { name: pod.metadata.name };
      await h.client
        .of(pods)
        .createSubresource('default', pod.metadata.name, 'binding', { ...binding, metadata });
      await h.setReady(pod);
      const status = { startTime: timestamp(h.clock.now() - 3600_000) };
      await h.client
        .of(pods)
        .patch('default', pod.metadata.name, { status }, { type: 'merge', subresource: 'status' });
    }
  }
  const alive = async (): Promise<Pod[]> => (await h.list(pods)).filter((p) => !p.metadata.deletionTimestamp);

  const create = (spec: Partial<Autoscaler['spec']> = {}) =>
    h.client.of(horizontalPodAutoscalers).create({
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        maxReplicas: 10,
        ...spec,
      },
    } as Autoscaler);
  const get = () => h.client.of(horizontalPodAutoscalers).get('default', 'web');
  const replicas = async () => (await h.client.of(deployments).get('default', 'web')).spec.replicas;
  const condition = async (type: string) => (await get()).status?.conditions?.find((c) => c.type === type);
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      h.clock.advance(1000);
      await h.settle(6);
    }
  };

  it('adds pods under load, and takes them away after the window', async () => {
    use = 0.16;
    await create({ minReplicas: 2 });
    await h.until('scaled up', async () => (await replicas()) === 4);
    const up = await h.until('status', async () => {
      const { status } = await get();
      return status?.lastScaleTime === undefined ? undefined : status;
    });
    assert.equal(up.desiredReplicas, 4);
    assert.deepEqual(up.currentMetrics, [
      {
        type: 'Resource',
        resource: { name: 'cpu', current: { averageUtilization: 160, averageValue: '160m' } },
      },
    ]);
    assert.equal((await condition('AbleToScale'))?.reason, 'SucceededRescale');
    assert.equal((await condition('ScalingActive'))?.reason, 'ValidMetricFound');
    const message = 'New size: 4; reason: cpu resource utilization (percentage of request) above target';
    await h.until('event', async () =>
      (await h.events('HorizontalPodAutoscaler')).includes(`SuccessfulRescale: ${message}`),
    );
    await runPods(4);
    use = 0.01;
    born.clear();
    await pass(60);
    assert.equal(await replicas(), 4);
    assert.equal((await condition('AbleToScale'))?.reason, 'ScaleDownStabilized');
    await pass(60);
    h.clock.advance(200_000);
    await pass(45);
    assert.equal(await replicas(), 2);
    assert.equal((await condition('ScalingLimited'))?.reason, 'TooFewReplicas');
  });

  it('brings the number within minReplicas and maxReplicas at once', async () => {
    await create({ minReplicas: 3 });
    await h.until('the minimum', async () => (await replicas()) === 3);
    await h.until('event', async () =>
      (await h.events('HorizontalPodAutoscaler')).some((e) => e.includes('below Spec.MinReplicas')),
    );
  });

  it('tells of a target that is not there', async () => {
    await create({ scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'gone' } });
    const unable = await h.until('condition', () => condition('AbleToScale'));
    assert.deepEqual([unable.status, unable.reason], ['False', 'FailedGetScale']);
    assert.match(unable.message ?? '', /deployments.apps "gone" not found/);
  });

  it('tells of metrics that nobody has, and leaves the replicas alone', async () => {
    await create({
      metrics: [
        {
          type: 'Pods',
          pods: { metric: { name: 'hits' }, target: { type: 'AverageValue', averageValue: '5' } },
        },
      ],
    });
    const inactive = await h.until('condition', () => condition('ScalingActive'));
    assert.deepEqual([inactive.status, inactive.reason], ['False', 'FailedGetPodsMetric']);
    assert.match(inactive.message ?? '', /no custom metrics API \(custom.metrics.k8s.io\) registered$/);
    assert.equal(await replicas(), 2);
  });

  it('does not scale what another one scales as well', async () => {
    await create();
    await h.until('a look', () => condition('ScalingActive'));
    await h.client.of(horizontalPodAutoscalers).create({
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'rival', namespace: 'default' },
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, maxReplicas: 3 },
    } as Autoscaler);
    const rival = await h.until('a word on it', async () => {
      const { status } = await h.client.of(horizontalPodAutoscalers).get('default', 'rival');
      return status?.conditions?.find(({ type }) => type === 'ScalingActive');
    });
    assert.deepEqual(
      [rival.status, rival.reason, rival.message],
      [
        'False',
        'AmbiguousSelector',
        'pods by selector app=web are controlled by multiple HPAs: [{web default} {rival default}]',
      ],
    );
  });

  it('is the same object in both versions', async () => {
    const v1 = h.client.of(horizontalPodAutoscalersV1);
    const created = await v1.create({
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
        maxReplicas: 5,
        targetCPUUtilizationPercentage: 60,
      },
    } as never);
    assert.equal(created.spec.targetCPUUtilizationPercentage, 60);
    assert.equal(created.apiVersion, 'autoscaling/v1');
    const memory = {
      type: 'Resource',
      resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '100Mi' } },
    };
    const v2 = await get();
    const cpu = v2.spec.metrics![0]!;
    assert.equal(cpu.resource?.target.averageUtilization, 60);
    await h.client
      .of(horizontalPodAutoscalers)
      .patch('default', 'web', { spec: { metrics: [cpu, memory] } }, { type: 'merge' });
    const seen = await v1.get('default', 'web');
    assert.equal(
      seen.metadata.annotations?.['autoscaling.alpha.kubernetes.io/metrics'],
      JSON.stringify([{ type: 'Resource', resource: { name: 'memory', targetAverageValue: '100Mi' } }]),
    );
    await v1.patch('default', 'web', { spec: { maxReplicas: 7 } }, { type: 'merge' });
    const after = await get();
    assert.equal(after.spec.maxReplicas, 7);
    assert.deepEqual(after.spec.metrics, [memory, cpu]);
    assert.equal(after.metadata.annotations, undefined);
  });

  it('reads metrics that carry the labels of their pods', async () => {
    const list = (labelSelector: string) =>
      moving(h.client.of(podMetrics).list({ namespace: 'default', labelSelector }));
    const { items } = await list('app=web');
    assert.equal(items.length, 2);
    const [first] = items;
    assert.deepEqual(first!.containers, [{ name: 'web', usage: { cpu: '100m', memory: '32Mi' } }]);
    assert.equal(first!.metadata.labels?.['app'], 'web');
    assert.deepEqual((await list('app=other')).items, []);
  });
});
