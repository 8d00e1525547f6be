import assert from 'node:assert/strict';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import type { Kubectl } from '../../fixtures/tools.js';

const MANIFEST = 'examples/ch16-statefulsets/mongo.yaml';

describe('a StatefulSet with a disruption budget, on two nodes', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const rollout = () => kubectl('rollout', 'status', 'statefulset/mongo', '--timeout=60s');
  const pods = async (path: string) =>
    (await kubectl('get', 'pods', '-l', 'app=mongo', '-o', `jsonpath={.items[*]${path}}`)).trim();

  before(async () => {
    cluster = await startTestCluster('--nodes', '2');
    kubectl = cluster.kubectl;
  });
  after(() => cluster?.down());

  it('starts its pods in order, by name', async () => {
    await kubectl('apply', '-f', MANIFEST);
    await rollout();
    assert.equal(await pods('.metadata.name'), 'mongo-0 mongo-1 mongo-2');
    const times = (await pods('.metadata.creationTimestamp')).split(' ');
    assert.deepEqual(times, times.toSorted());
    assert.match(await kubectl('get', 'statefulset', 'mongo', '--no-headers'), /^mongo\s+3\/3\s/);
    assert.equal((await kubectl('exec', 'mongo-1', '--', 'hostname')).trim(), 'mongo-1');
    assert.match(
      await kubectl('get', 'pods', '-l', 'statefulset.kubernetes.io/pod-name=mongo-2', '-o', 'name'),
      /^pod\/mongo-2\n$/,
    );
  });

  it('brings a pod back by its name, and scales at the end', async () => {
    const uid = () => kubectl('get', 'pod', 'mongo-1', '-o', 'jsonpath={.metadata.uid}');
    const before = await uid();
    await kubectl('delete', 'pod', 'mongo-1');
    await eventually('another mongo-1', async () => (await uid()) !== before);
    await rollout();
    await kubectl('scale', 'statefulset', 'mongo', '--replicas=4');
    await kubectl('wait', '--for=create', 'pod/mongo-3', '--timeout=20s');
    await kubectl('scale', 'statefulset', 'mongo', '--replicas=3');
    await kubectl('wait', '--for=delete', 'pod/mongo-3', '--timeout=20s');
  });

  it('updates down to its partition, then all, and goes back', async () => {
    const images = () => pods('.spec.containers[0].image');
    const partition = (n: number) =>
      kubectl(
        'patch',
        'statefulset',
        'mongo',
        '-p',
        JSON.stringify({ spec: { updateStrategy: { rollingUpdate: { partition: n } } } }),
      );
    const [one, two] = ['keelson.dev/demo:1', 'keelson.dev/demo:2'];
    await partition(2);
    await kubectl('set', 'image', 'statefulset/mongo', `mongodb=${two}`);
    assert.match(await rollout(), /partitioned roll out complete: 1 new pods have been updated/);
    assert.equal(await images(), `${one} ${one} ${two}`);
    await partition(0);
    await rollout();
    assert.equal(await images(), `${two} ${two} ${two}`);
    assert.match(await kubectl('rollout', 'history', 'statefulset/mongo'), /1\s+<none>\n2\s+<none>/);
    assert.match(
      await kubectl('rollout', 'undo', 'statefulset/mongo', '--to-revision=2'),
      /skipped rollback \(current template already matches revision 2\)/,
    );
    await kubectl('rollout', 'undo', 'statefulset/mongo');
    await rollout();
    assert.equal(await images(), `${one} ${one} ${one}`);
  });

  it('is evicted only as its budget allows, while a node is drained', async () => {
    await eventually('one disruption allowed', async () =>
      /^mongo\s+N\/A\s+1\s+1\s/.test(await kubectl('get', 'pdb', 'mongo', '--no-headers')),
    );
    await kubectl('patch', 'pdb', 'mongo', '-p', '{"spec":{"maxUnavailable":0}}');
    await eventually('none allowed', async () =>
      /^mongo\s+N\/A\s+0\s+0\s/.test(await kubectl('get', 'pdb', 'mongo', '--no-headers')),
    );
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'mongo-0' } };
    const raw = '/api/v1/namespaces/default/pods/mongo-0/eviction';
    const refused = await kubectl.try(['create', '--raw', raw, '-f', '-'], {
      stdin: JSON.stringify(eviction),
    });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Cannot evict pod as it would violate the pod's disruption budget/);
    await kubectl('patch', 'pdb', 'mongo', '-p', '{"spec":{"maxUnavailable":1}}');
    const drained = await kubectl('drain', 'node-2', '--ignore-daemonsets', '--timeout=60s');
    assert.match(drained, /node\/node-2 drained/);
    await rollout();
    assert.equal(await pods('.spec.nodeName'), 'node-1 node-1 node-1');
    assert.match(await kubectl('get', 'node', 'node-2', '--no-headers'), /Ready,SchedulingDisabled/);
    await kubectl('uncordon', 'node-2');
    assert.doesNotMatch(await kubectl('get', 'node', 'node-2', '--no-headers'), /SchedulingDisabled/);
  });

  it('goes with all that it owned', async () => {
    await kubectl('delete', '-f', MANIFEST);
    await eventually('the pods to go', async () => (await pods('.metadata.name')) === '');
  });
});
