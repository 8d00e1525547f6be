import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeLinkName } from '../../../src/network/names.js';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { assertNoLeaks, snapshot } from '../../fixtures/leaks.js';
import { shellPod } from '../../fixtures/pods.js';
import { run } from '../../fixtures/tools.js';

/** All clusters of this process, and nobody else's. */
const OURS = { containing: [`t${process.pid}-`] };
const HTTP = 'keelson.dev/demo:blue';

const routes = () => execFileSync('ip', ['route'], { encoding: 'utf8' }).split('\n');
const isOurs = (route: string) => route.includes(` kln-t${process.pid}-`);

/** A pod that serves HTTP on port 8080. */
function serverPod(name: string, node: string) {
  const containers = [{ name: 'c', image: HTTP }];
  const spec = { nodeName: node, terminationGracePeriodSeconds: 1, containers };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
}

async function apply(cluster: TestCluster, ...items: object[]): Promise<void> {
  const stdin = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const { code, stderr } = await cluster.kubectl.try(['apply', '-f', '-'], { stdin });
  assert.equal(code, 0, stderr);
}

const podIp = (cluster: TestCluster, name: string) =>
  cluster.kubectl('get', 'pod', name, '-o', 'jsonpath={.status.podIP}');

const fetched = async (ip: string) =>
  (await fetch(`http://${ip}:8080/`)).json() as Promise<{ hostname: string }>;

describe('several nodes on one machine', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let untouched: ReturnType<typeof snapshot>;

  before(async () => {
    untouched = snapshot(OURS);
    cluster = await startTestCluster('--nodes', '3', '--node-monitor-grace-period', '13');
  });
  after(async () => {
    await cluster?.down();
    await assertNoLeaks(untouched, OURS);
    assert.equal(routes().filter(isOurs).join('\n'), '');
    for (const node of ['node-1', 'node-2', 'node-3', 'extra'])
      assert.ok(!existsSync(`/sys/class/net/${nodeLinkName(cluster.name, node)}`), `the link of ${node}`);
  });

  const node = (name: string, path: string) =>
    cluster.kubectl('get', 'node', name, '-o', `jsonpath={${path}}`);
  const ready = (name: string) => node(name, '.status.conditions[?(@.type=="Ready")].status');

  it('are Ready, each with an address and a range for pods of its own', async () => {
    const names = ['node-1', 'node-2', 'node-3'];
    const told = await cluster.kubectl('get', 'nodes', '-o', 'name');
    assert.deepEqual(
      told.trim().split('\n').sort(),
      names.map((name) => `node/${name}`),
    );
    for (const path of ['.status.addresses[0].address', '.spec.podCIDR'])
      assert.equal(new Set(await Promise.all(names.map((name) => node(name, path)))).size, 3);
    for (const name of names) assert.equal(await ready(name), 'True');
  });

  it('run pods that reach each other, the machine and the API, and are reached from the machine', async () => {
    await apply(cluster, ...[1, 2, 3].map((i) => serverPod(`p${i}`, `node-${i}`)));
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/p1', 'pod/p2', 'pod/p3', '--timeout=30s');
    for (const [from, to] of [
      ['p1', 'p2'],
      ['p2', 'p3'],
      ['p3', 'p1'],
    ] as const) {
      const ip = await podIp(cluster, to);
      const answer = await cluster.kubectl('exec', from, '--', 'wget', '-qO-', `http://${ip}:8080/`);
      assert.equal(JSON.parse(answer).hostname, to);
      // Pods see each other's own addresses.
      assert.ok(answer.includes(`"client":"${await podIp(cluster, from)}:`), answer);
      assert.equal((await fetched(ip)).hostname, to);
    }
    const { apiPort, nodeCidr } = JSON.parse(readFileSync(join(cluster.dataDir, 'cluster.json'), 'utf8'));
    const gateway = nodeCidr.replace('.0/24', '.1');
    await cluster.kubectl('exec', 'p2', '--', 'nc', '-w', '2', gateway, `${apiPort}`);
    assert.match(await cluster.kubectl('logs', 'p3'), /listening on :8080/);
  });

  it('a Deployment spreads over them', async () => {
    await cluster.kubectl('create', 'deployment', 'spread', `--image=${HTTP}`, '--replicas=3');
    await cluster.kubectl('rollout', 'status', 'deployment/spread', '--timeout=30s');
    const nodes = await cluster.kubectl(
      ...['get', 'pods', '-l', 'app=spread', '-o', 'jsonpath={.items[*].spec.nodeName}'],
    );
    assert.equal(new Set(nodes.split(' ')).size, 3, nodes);
    await cluster.kubectl('delete', 'deployment', 'spread');
  });

  it('one that is cut off works on alone; what was evicted from it meanwhile ends when it is back', async () => {
    const tolerations = (tolerationSeconds: number) =>
      ['not-ready', 'unreachable'].map((what) => ({
        ...{ key: `node.kubernetes.io/${what}`, operator: 'Exists', effect: 'NoExecute', tolerationSeconds },
      }));
    const pod = (name: string, script: string, seconds: number) =>
      shellPod(name, script, { spec: { nodeName: 'node-3', tolerations: tolerations(seconds) } });
    // Some shell of the machine runs this.
    const runs = (mark: string) => {
      const commands = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
      return commands.filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark);
        } catch {
          return false;
        }
      });
    };
    await apply(
      cluster,
      pod('evicted', 'true evicted-mark; sleep 1000 & wait', 0),
      pod('tolerant', 'true tolerant-mark; sleep 1000 & wait', 3600),
    );
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/evicted', 'pod/tolerant', '--timeout=30s');
    const evictedRun = runs('evicted-mark');
    const [tolerantRun] = runs('tolerant-mark');
    const link = (state: string) =>
      execFileSync('ip', ['link', 'set', nodeLinkName(cluster.name, 'node-3'), state]);
    link('down');
    try {
      await eventually('node-3 Unknown', async () => (await ready('node-3')) === 'Unknown');
      await eventually('an eviction', () =>
        cluster.kubectl('get', 'pod', 'evicted', '-o', 'jsonpath={.metadata.deletionTimestamp}'),
      );
      // Nobody can tell the node: what runs there runs on, and what ends there starts again.
      assert.deepEqual(runs('evicted-mark'), evictedRun);
      process.kill(Number(tolerantRun), 'SIGKILL');
      await eventually(
        'another run',
        async () => ![[], [tolerantRun]].flat().includes(runs('tolerant-mark')[0]),
      );
    } finally {
      link('up');
    }
    await cluster.kubectl('wait', '--for=condition=Ready', 'node/node-3', 'pod/tolerant', '--timeout=40s');
    await cluster.kubectl('wait', '--for=delete', 'pod/evicted', '--timeout=30s');
    assert.deepEqual(runs('evicted-mark'), []);
    const count = 'jsonpath={.status.containerStatuses[0].restartCount}';
    await eventually(
      'the restart to be told',
      async () => (await cluster.kubectl('get', 'pod', 'tolerant', '-o', count)) === '1',
    );
    const left = await node('node-3', '.spec.taints[*].key');
    assert.doesNotMatch(left, /unreachable|not-ready/);
    await cluster.kubectl('delete', 'pod', 'tolerant');
  });

  it('one that is stopped goes NotReady, its pods go elsewhere, and it comes back', async () => {
    const unreachable = ['not-ready', 'unreachable'].map((what) => ({
      key: `node.kubernetes.io/${what}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 0,
    }));
    const near = {
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          {
            weight: 100,
            preference: {
              matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['node-3'] }],
            },
          },
        ],
      },
    };
    const labels = { app: 'mover' };
    const template = {
      metadata: { labels },
      spec: { tolerations: unreachable, affinity: near, containers: [{ name: 'c', image: HTTP }] },
    };
    await apply(cluster, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'mover' },
      spec: { replicas: 1, selector: { matchLabels: labels }, template },
    });
    await cluster.kubectl('rollout', 'status', 'deployment/mover', '--timeout=30s');
    const where = () =>
      cluster.kubectl(
        ...['get', 'pods', '-l', 'app=mover', '--field-selector=status.phase=Running'],
        ...['-o', 'jsonpath={range .items[*]}{.spec.nodeName}={.metadata.deletionTimestamp} {end}'],
      );
    assert.equal((await where()).trim(), 'node-3=');
    const { code, stderr } = await cluster.keelson(['node', 'stop', 'node-3']);
    assert.equal(code, 0, stderr);
    assert.match((await cluster.keelson(['node', 'list'])).stdout, /^node-3 +stopped/m);
    await assert.rejects(fetched(await podIp(cluster, 'p3')));
    await eventually('node-3 NotReady', async () => (await ready('node-3')) === 'Unknown');
    await eventually('another pod elsewhere', async () => /node-[12]= /.test(await where()));

    assert.equal((await cluster.keelson(['node', 'start', 'node-3'])).code, 0);
    await cluster.kubectl('wait', '--for=condition=Ready', 'node/node-3', '--timeout=20s');
    await eventually('the old pod gone', async () => !/node-3/.test(await where()));
    await cluster.kubectl('delete', 'deployment', 'mover');
  });

  it('are added and removed', async () => {
    const added = await cluster.keelson(['node', 'add', 'extra']);
    assert.equal(added.code, 0, added.stderr);
    await apply(cluster, serverPod('there', 'extra'));
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/there', '--timeout=30s');
    assert.equal((await fetched(await podIp(cluster, 'there'))).hostname, 'there');
    const removed = await cluster.keelson(['node', 'remove', 'extra']);
    assert.equal(removed.code, 0, removed.stderr);
    assert.doesNotMatch(await cluster.kubectl('get', 'nodes'), /extra/);
    assert.ok(!existsSync(join(cluster.runDir, 'nodes/extra')));
    assert.ok(!existsSync(join(cluster.dataDir, 'nodes/extra')));
    const again = await cluster.keelson(['node', 'remove', 'extra']);
    assert.match(again.stderr, /^keelson: Cluster "\S+" has no node "extra"; it has: node-1/);
  });

  it('a second cluster lives beside it', async () => {
    const other = await startTestCluster('--nodes', '2');
    try {
      await apply(other, serverPod('p1', 'node-1'), serverPod('p2', 'node-2'));
      await other.kubectl('wait', '--for=condition=Ready', 'pod/p1', 'pod/p2', '--timeout=30s');
      const ip = await podIp(other, 'p2');
      const answer = await other.kubectl('exec', 'p1', '--', 'wget', '-qO-', `http://${ip}:8080/`);
      assert.equal(JSON.parse(answer).hostname, 'p2');
      const mine = await podIp(cluster, 'p1');
      assert.notEqual(mine, await podIp(other, 'p1'));
      assert.equal((await fetched(mine)).hostname, 'p1');
    } finally {
      await other.down();
    }
    assert.equal((await fetched(await podIp(cluster, 'p1'))).hostname, 'p1');
  });

  it('go on with their pods after everything of Keelson was killed', async () => {
    const before = await podIp(cluster, 'p2');
    const pids = [join(cluster.runDir, 'server.pid')];
    for (const name of readdirSync(join(cluster.runDir, 'nodes')))
      pids.push(join(cluster.runDir, 'nodes', name, 'agent.pid'));
    for (const file of pids) process.kill(Number(readFileSync(file, 'utf8').split(' ')[0]), 'SIGKILL');
    await cluster.restart('server');
    assert.equal((await fetched(before)).hostname, 'p2');
    assert.equal(await cluster.kubectl('get', 'pod', 'p2', '-o', 'jsonpath={.status.podIP}'), before);
    await apply(cluster, shellPod('late', 'sleep 1000', { spec: { nodeName: 'node-3' } }));
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/late', '--timeout=30s');
  });

  it('cluster-info and the health of the API are told', async () => {
    assert.match(await cluster.kubectl('cluster-info'), /control plane.* is running at .*https:/);
    assert.match(
      await cluster.kubectl('get', '--raw', '/livez?verbose'),
      /\[\+\]ping ok[\s\S]*livez check passed/,
    );
    assert.equal(await cluster.kubectl('get', '--raw', '/readyz'), 'ok');
    const components = await cluster.kubectl('get', 'componentstatuses');
    assert.match(components, /^NAME +STATUS +MESSAGE +ERROR\ncontroller-manager +Healthy +ok/);
    assert.match(await cluster.kubectl('get', 'cs', 'scheduler'), /scheduler +Healthy/);
  });

  it('down cleans up although a network namespace has gone already', async () => {
    const other = await startTestCluster('--nodes', '2');
    await apply(other, serverPod('p1', 'node-1'), serverPod('p2', 'node-2'));
    await other.kubectl('wait', '--for=condition=Ready', 'pod/p1', 'pod/p2', '--timeout=30s');
    for (const name of ['node-1', 'node-2']) {
      const file = join(other.runDir, 'nodes', name, 'agent.pid');
      process.kill(Number(readFileSync(file, 'utf8').split(' ')[0]), 'SIGKILL');
    }
    process.kill(other.pid('server'), 'SIGKILL');
    execFileSync('umount', [join(other.runDir, 'nodes/node-2/netns')]);
    await other.down();
    assert.doesNotMatch((await run('nft', ['list', 'tables'])).stdout, new RegExp(`${other.name}$`, 'm'));
  });
});
