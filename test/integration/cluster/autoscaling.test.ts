/** kubectl top and autoscaling, by the CPU that real pods use. */
import assert from 'node:assert/strict';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import type { Kubectl } from '../../fixtures/tools.js';

/** A kind with replicas. */
const scalable = (plural: string, kind: string) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.example.com` },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural, kind },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: {
          scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
        },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', properties: { replicas: { type: 'integer' } } },
              status: { type: 'object', properties: { replicas: { type: 'integer' } } },
            },
          },
        },
      },
    ],
  },
});

describe('Metrics and autoscaling', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const get = (what: string, path: string) => kubectl('get', ...what.split(' '), '-o', `jsonpath={${path}}`);

  before(async () => {
    cluster = await startTestCluster();
    kubectl = cluster.kubectl;
    await kubectl('apply', '-f', 'examples/ch09-replicasets/kuard-rs.yaml');
    await kubectl('wait', '--for=condition=ready', 'pod', '-l', 'app=kuard', '--timeout=30s');
    const ip = await get('pods -l app=kuard', '.items[0].status.podIP');
    assert.equal((await fetch(`http://${ip}:8080/cpu?seconds=25&threads=1`)).status, 200);
  });
  after(() => cluster?.down());

  it('shows what nodes and pods use', async () => {
    assert.match(await kubectl('top', 'nodes', '--no-headers'), /^node-1\s+\d+m\s+\d+%\s+\d+Mi\s+\d+%/);
    const pods = await eventually('metrics of the pod', async () => {
      const { code, stdout } = await kubectl.try(['top', 'pods', '--containers', '--no-headers']);
      return code === 0 && stdout;
    });
    const [, milli] = /^kuard-\S+\s+kuard\s+(\d+)m\s+\d+Mi/.exec(pods) ?? assert.fail(pods);
    assert.ok(Number(milli) > 100, pods);
    assert.equal(await kubectl('top', 'pods', '-l', 'app=other').catch((e) => String(e)), '');
    const rows = await kubectl('get', 'podmetrics,nodemetrics', '--no-headers');
    assert.match(rows, /podmetrics\S*\/kuard-\S+\s+\d+n\s+\d+Ki\s+[\d.ms]+/);
    const resources = await kubectl('api-resources', '--api-group=metrics.k8s.io', '--no-headers');
    assert.match(resources, /nodes\s+metrics.k8s.io\/v1beta1\s+false\s+NodeMetrics/);
  });

  it('adds replicas under load', async () => {
    await kubectl('autoscale', 'rs', 'kuard', '--min=1', '--max=3', '--cpu-percent=50');
    await eventually('three replicas', async () => (await get('rs kuard', '.spec.replicas')) === '3', 35_000);
    const row = await kubectl('get', 'hpa', 'kuard', '--no-headers');
    assert.match(row, /^kuard\s+ReplicaSet\/kuard\s+cpu: \d+%\/50%\s+1\s+3\s+\d/);
    const described = await kubectl('describe', 'hpa', 'kuard');
    assert.match(described, /SuccessfulRescale.*New size: 3; reason: cpu resource utilization/);
    assert.match(described, /ScalingActive\s+True\s+ValidMetricFound/);
  });

  it('scales custom kinds, whose replicas count for disruption budgets', async () => {
    const feed = async (...objects: object[]) => {
      const stdin = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
      const { code, stderr } = await kubectl.try(['create', '-f', '-'], { stdin });
      assert.equal(code, 0, stderr);
    };
    await feed(scalable('workers', 'Worker'));
    await kubectl('wait', '--for=condition=Established', 'crd/workers.example.com');
    const of = { apiVersion: 'example.com/v1', kind: 'Worker', name: 'w' };
    await feed(
      { apiVersion: of.apiVersion, kind: of.kind, metadata: { name: 'w' }, spec: { replicas: 1 } },
      {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata: { name: 'w' },
        spec: { scaleTargetRef: of, minReplicas: 4, maxReplicas: 5 },
      },
      {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { name: 'w' },
        spec: { minAvailable: '75%', selector: { matchLabels: { worker: 'w' } } },
      },
    );
    await eventually('the least replicas', async () => (await get('worker w', '.spec.replicas')) === '4');
    const uid = await get('worker w', '.metadata.uid');
    await feed({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'w-1', labels: { worker: 'w' }, ownerReferences: [{ ...of, uid, controller: true }] },
      spec: { containers: [{ name: 'c', image: 'keelson.dev/demo:blue' }] },
    });
    await eventually(
      'what the budget expects',
      async () => (await get('pdb w', '.status.expectedPods} {.status.desiredHealthy')) === '4 3',
    );
    await kubectl('delete', 'hpa,pdb,worker', 'w');
    await kubectl('delete', 'crd', 'workers.example.com');
  });

  it('is served in both versions of its group', async () => {
    const v1 = JSON.parse(
      await kubectl('get', 'horizontalpodautoscalers.v1.autoscaling', 'kuard', '-o', 'json'),
    );
    assert.equal(v1.apiVersion, 'autoscaling/v1');
    assert.equal(v1.spec.targetCPUUtilizationPercentage, 50);
    const v2 = JSON.parse(
      await kubectl('get', 'horizontalpodautoscalers.v2.autoscaling', 'kuard', '-o', 'json'),
    );
    assert.equal(v2.spec.metrics[0].resource.target.averageUtilization, 50);
    assert.equal(v1.metadata.uid, v2.metadata.uid);
    const patch = { spec: { maxReplicas: 4 } };
    await kubectl(
      'patch',
      'horizontalpodautoscalers.v1.autoscaling',
      'kuard',
      '--type=merge',
      '-p',
      JSON.stringify(patch),
    );
    assert.equal(await get('hpa kuard', '.spec.maxReplicas'), '4');
  });

  it('refuses what makes no sense, in words that tell what is wrong', async () => {
    const wrong = await kubectl.try([
      'patch',
      'hpa',
      'kuard',
      '--type=merge',
      '-p',
      '{"spec":{"minReplicas":9}}',
    ]);
    assert.match(
      wrong.stderr,
      /spec.maxReplicas: Invalid value: 4: must be greater than or equal to `minReplicas`/,
    );
  });
});
