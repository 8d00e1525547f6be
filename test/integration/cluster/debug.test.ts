import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import type { Pod } from '#types';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';
import { tool } from '../../fixtures/tools.js';

describe('looking into pods', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster();
  });
  after(() => cluster?.down());

  async function apply(pod: object): Promise<void> {
    const { code, stderr } = await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(pod) });
    assert.equal(code, 0, stderr);
  }
  const get = async (name: string): Promise<Pod> =>
    JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json'));
  const started = async (pod: Pod) => {
    await apply(pod);
    await cluster.kubectl('wait', '--for=condition=Ready', `pod/${pod.metadata.name}`, '--timeout=30s');
  };
  const kubectlProcess = (...argv: string[]) =>
    spawn(tool('kubectl'), argv, { env: { ...process.env, KUBECONFIG: cluster.kubectl.kubeconfig } });
  const ended = (child: ChildProcess) => new Promise((resolve) => child.once('close', resolve));

  it('kubectl debug adds a container that sees the processes of its target', async () => {
    await started(shellPod('app', 'exec sleep 11111'));
    await cluster.kubectl(
      ...[
        'debug',
        'app',
        '--image=keelson.dev/demo:green',
        '--target=c',
        '-c',
        'look',
        '--',
        'sleep',
        '22222',
      ],
    );
    const status = await eventually('the debug container', async () => {
      const found = (await get('app')).status?.ephemeralContainerStatuses?.[0];
      return found?.state?.running && found;
    });
    assert.equal(status.name, 'look');
    assert.equal(status.ready, false);
    assert.match(await cluster.kubectl('exec', 'app', '-c', 'look', '--', 'ps', '-o', 'args'), /sleep 11111/);
    assert.match(await cluster.kubectl('exec', 'app', '-c', 'c', '--', 'ps', '-o', 'args'), /sleep 22222/);
    assert.equal((await get('app')).status?.containerStatuses?.[0]?.restartCount, 0);
  });

  it('without a target it sees its own processes alone, and is not started again', async () => {
    await started(shellPod('other', 'exec sleep 11111'));
    const script = 'ps -o args; exit 3';
    await cluster.kubectl(
      ...['debug', 'other', '--image=keelson.dev/demo:green', '-c', 'once', '--', 'sh', '-c', script],
    );
    const over = await eventually(
      'its end',
      async () => (await get('other')).status?.ephemeralContainerStatuses?.[0]?.state?.terminated,
    );
    assert.equal(over.exitCode, 3);
    assert.doesNotMatch(await cluster.kubectl('logs', 'other', '-c', 'once'), /11111/);
    const { phase, ephemeralContainerStatuses } = (await get('other')).status!;
    assert.equal(phase, 'Running');
    assert.equal(ephemeralContainerStatuses?.[0]?.restartCount, 0);
  });

  it('a terminal of its own', async () => {
    const command = [tool('kubectl'), 'debug', '-it', 'app', '--image=keelson.dev/demo:green', '--target=c'];
    const child = spawn('script', ['-qec', `${command.join(' ')} -- sh`, '/dev/null'], {
      env: { ...process.env, KUBECONFIG: cluster.kubectl.kubeconfig, TERM: 'xterm' },
    });
    let screen = '';
    child.stdout.on('data', (chunk) => (screen += chunk));
    await eventually('a prompt', async () => /[#$] /.test(screen));
    child.stdin.write('echo pid $$ of $(ps -o args | grep -c "[s]leep 11111")\n');
    await eventually('an answer', async () => /pid \d+ of 1/.test(screen));
    child.stdin.write('exit\n');
    await ended(child);
  });

  it('port-forward reaches what listens on loopback alone, and says when nothing does', async () => {
    const script = 'echo hello from inside > /tmp/x; exec httpd -f -p 127.0.0.1:7777 -h /tmp';
    await started(shellPod('inside', script));
    const child = kubectlProcess('port-forward', 'pod/inside', ':7777', ':7778');
    const over = ended(child);
    let told = '';
    let errors = '';
    child.stdout.on('data', (chunk) => (told += chunk));
    child.stderr.on('data', (chunk) => (errors += chunk));
    try {
      const port = (to: number) => Number(new RegExp(`127.0.0.1:(\\d+) -> ${to}`).exec(told)?.[1]);
      await eventually('both ports', async () => port(7778) > 0);
      const answer = await fetch(`http://127.0.0.1:${port(7777)}/x`);
      assert.equal(await answer.text(), 'hello from inside\n');
      connect(port(7778), '127.0.0.1').on('error', () => {});
      await eventually('the refusal', async () => /localhost:7778 .*refused/.test(errors));
    } finally {
      child.kill();
      await over;
    }
  });

  it('logs go on in a new file when they are large, and are read across files', async () => {
    const count = 200_000;
    const lines = (from: number) =>
      `awk 'BEGIN { for (i = ${from}; i < ${from + count}; i++) print "line " i " ${'x'.repeat(60)}" }'`;
    await started(
      shellPod(
        'talker',
        `${lines(0)}; until [ -e /tmp/go ]; do sleep 0.2; done; ${lines(count)}; sleep 1000`,
      ),
    );
    const { namespace, uid } = (await get('talker')).metadata;
    const folder = `/var/log/pods/${namespace}_talker_${uid}/c`;
    const follow = kubectlProcess('logs', '-f', '--tail=1', 'talker');
    let followed = '';
    follow.stdout.on('data', (chunk) => (followed += chunk));
    await eventually('a rotated file', async () => readdirSync(folder).length === 2);
    await cluster.kubectl('exec', 'talker', '--', 'touch', '/tmp/go');
    await eventually('the last line', async () => followed.includes(`line ${2 * count - 1} `));
    follow.kill();
    const numbers = [...followed.matchAll(/^line (\d+) /gm)].map((match) => Number(match[1]));
    const first = numbers[0]!;
    assert.ok(first < count, 'followed from before the rotation');
    assert.deepEqual(
      numbers,
      Array.from({ length: 2 * count - first }, (_, i) => first + i),
    );
    const all = (await cluster.kubectl('logs', 'talker')).trim().split('\n');
    assert.equal(all.length, 2 * count);
    assert.match(all[0]!, /^line 0 /);
    const tail = (await cluster.kubectl('logs', `--tail=${count + 5}`, 'talker')).trim().split('\n');
    assert.equal(tail.length, count + 5);
    assert.match(tail[0]!, new RegExp(`^line ${count - 5} `));
    await cluster.kubectl('delete', 'pod', 'talker');
    await eventually('the end of its logs', async () => !existsSync(folder));
  });

  it('a pod that was put on a node that cannot take it fails, with the reason', async () => {
    const node = { nodeName: cluster.node };
    const resources = { requests: { cpu: '1000' } };
    for (const [name, pod, reason, message] of [
      [
        ...['huge', shellPod('huge', 'sleep 1', { spec: node, container: { resources } }), 'OutOfcpu'],
        /^Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000, used: \d+, capacity: \d+$/,
      ],
      [
        ...['picky', shellPod('picky', 'sleep 1', { spec: { ...node, nodeSelector: { a: 'b' } } })],
        ...['NodeAffinity', /^Pod was rejected: Predicate NodeAffinity failed: node\(s\) didn't match/],
      ],
    ] as [string, Pod, string, RegExp][]) {
      await apply(pod);
      const status = await eventually('its failure', async () => {
        const { status } = await get(name);
        return status?.phase === 'Failed' && status;
      });
      assert.equal(status.reason, reason);
      assert.match(status.message!, message);
      assert.match(await cluster.kubectl('get', 'pod', name), new RegExp(`0/1 +${reason}`));
      await cluster.kubectl('delete', 'pod', name, '--timeout=10s');
    }
  });
});
