import assert from 'node:assert/strict';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import type { Kubectl } from '../../fixtures/tools.js';

const MANIFEST = 'examples/ch10-deployments/kuard-deployment.yaml';

describe('a Deployment, as a reader of the book runs it', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let kubectl: Kubectl;
  const podNames = async () =>
    (await kubectl('get', 'pods', '-l', 'run=kuard', '-o', 'name')).trim().split('\n').filter(Boolean);
  const rollout = () => kubectl('rollout', 'status', 'deployment/kuard', '--timeout=60s');

  before(async () => {
    cluster = await startTestCluster();
    kubectl = cluster.kubectl;
  });
  after(() => cluster?.down());

  it('shows its node Ready, with its facts', async () => {
    const [header, row] = (await kubectl('get', 'nodes', '-o', 'wide')).split('\n');
    assert.match(header!, /NAME\s+STATUS\s+ROLES\s+AGE\s+VERSION\s+INTERNAL-IP.*CONTAINER-RUNTIME/);
    assert.match(row!, /^node-1\s+Ready\s.*v1\.36\.\d+.*keelson:\/\//);
  });

  it('applies and rolls out', async () => {
    assert.match(await kubectl('apply', '-f', MANIFEST), /deployment\.apps\/kuard created/);
    assert.match(await rollout(), /successfully rolled out/);
    const row = (await kubectl('get', 'pods', '-o', 'wide', '--no-headers')).trim();
    assert.match(row, /^kuard-[a-z0-9]+-[a-z0-9]{5}\s+1\/1\s+Running\s+0\s+\S+\s+10\.\d+\.\d+\.\d+\s+node-1/);
    assert.match(await kubectl('apply', '-f', MANIFEST), /deployment\.apps\/kuard unchanged/);
  });

  it('serves HTTP at the pod IP, and logs the request', async () => {
    const ip = await kubectl('get', 'pods', '-l', 'run=kuard', '-o', 'jsonpath={.items[0].status.podIP}');
    const answer = await fetch(`http://${ip}:8080/`, { headers: { accept: 'application/json' } });
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /kuard-/);
    await eventually('the request in the log', async () =>
      /GET \/ /.test(await kubectl('logs', 'deploy/kuard')),
    );
    assert.equal((await kubectl('logs', 'deploy/kuard', '--tail=1')).trim().split('\n').length, 1);
    assert.match(await kubectl('logs', 'deploy/kuard', '--timestamps', '--tail=1'), /^\d{4}-\d\d-\d\dT\S+Z /);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(await kubectl('logs', 'deploy/kuard', '--since=1s'), '');
  });

  it('runs commands in a container', async () => {
    assert.match(await kubectl('exec', 'deploy/kuard', '--', 'date'), /20\d\d/);
    const failing = await kubectl.try([
      'exec',
      'deploy/kuard',
      '--',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 7',
    ]);
    assert.equal(failing.code, 7);
    assert.equal(failing.stdout, 'out\n');
    assert.match(failing.stderr, /^err\n/);
    const piped = await kubectl.try(['exec', '-i', 'deploy/kuard', '--', 'wc', '-c'], {
      stdin: 'x'.repeat(100_000),
    });
    assert.equal(piped.stdout.trim(), '100000');
  });

  it('scales', async () => {
    await kubectl('scale', 'deployment', 'kuard', '--replicas=4');
    await rollout();
    assert.equal((await podNames()).length, 4);
    assert.match(await kubectl('get', 'deployment', 'kuard', '--no-headers'), /^kuard\s+4\/4\s+4\s+4\s/);
    assert.equal(
      await kubectl(
        'get',
        'replicasets',
        '--selector=run=kuard',
        '-o',
        'jsonpath={.items[*].status.readyReplicas}',
      ),
      '4',
    );
    await kubectl('scale', 'deployment', 'kuard', '--replicas=2');
    await eventually('two pods', async () => (await podNames()).length === 2);
  });

  it('updates, tells its history, and goes back', async () => {
    const image = () =>
      kubectl('get', 'deployment', 'kuard', '-o', 'jsonpath={.spec.template.spec.containers[0].image}');
    await kubectl('set', 'image', 'deployment/kuard', 'kuard=gcr.io/kuar-demo/kuard-amd64:green');
    await rollout();
    assert.match(await kubectl('rollout', 'history', 'deployment/kuard'), /1\s+<none>\n2\s+<none>/);
    assert.match(
      await kubectl('rollout', 'history', 'deployment/kuard', '--revision=2'),
      /kuard-amd64:green/,
    );
    await kubectl('rollout', 'undo', 'deployment/kuard');
    await rollout();
    assert.match(await image(), /:blue$/);
    assert.match(await kubectl('rollout', 'history', 'deployment/kuard'), /2\s+<none>\n3\s+<none>/);
    const before = await podNames();
    await kubectl('rollout', 'restart', 'deployment/kuard');
    await rollout();
    await eventually('the old pods to go', async () => {
      const now = await podNames();
      return now.length === 2 && now.every((name) => !before.includes(name));
    });
  });

  it('replaces a pod that is deleted', async () => {
    const [victim] = await podNames();
    await kubectl('delete', victim!);
    await rollout();
    const now = await podNames();
    assert.equal(now.length, 2);
    assert.ok(!now.includes(victim!));
  });

  it('describes what is there, and tells what happened', async () => {
    const [pod] = await podNames();
    const described = await kubectl('describe', pod!);
    assert.match(described, /Status:\s+Running/);
    assert.match(described, /Scheduled[\s\S]*Created[\s\S]*Started/);
    assert.match(await kubectl('describe', 'deployment', 'kuard'), /ScalingReplicaSet/);
    assert.match(await kubectl('describe', 'node', 'node-1'), /Non-terminated Pods:\s+\(2 in total\)/);
    assert.match(await kubectl('get', 'events'), /Started\s+pod\/kuard-/);
    assert.match(await kubectl('explain', 'pod.spec.containers'), /FIELD: containers <\[\]Container>/);
  });

  it('goes, with all that it owned', async () => {
    assert.match(await kubectl('delete', '-f', MANIFEST), /deleted/);
    await eventually('the pods to go', async () => (await podNames()).length === 0);
    assert.equal(await kubectl('get', 'replicasets', '-o', 'name'), '');
  });
});
