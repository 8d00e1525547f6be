import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';
import { tool } from '../../fixtures/tools.js';

const MB = 1 << 20;
/** About 100 MB, in whole lines of 17 bytes: the rest of a line without its end is not logged yet. */
const LOG_BYTES = 17 * 6_168_000;

/** Bytes and SHA-256 of a child's standard output, without keeping it. */
async function digest(child: ChildProcess): Promise<{ bytes: number; sha256: string; code: number | null }> {
  const hash = createHash('sha256');
  let bytes = 0;
  child.stdout!.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { bytes, sha256: hash.digest('hex'), code };
}

describe('streams', function () {
  this.timeout(180_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await startTestCluster();
    const pods = [
      shellPod('box', 'sleep 100000'),
      shellPod('speaker', `yes 0123456789abcdef | head -c ${LOG_BYTES}; touch /tmp/done; sleep 100000`),
    ];
    const list = { apiVersion: 'v1', kind: 'List', items: pods };
    await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(list) });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/box', 'pod/speaker', '--timeout=30s');
  });
  after(() => cluster?.down());

  const kubectlProcess = (...argv: string[]) =>
    spawn(tool('kubectl'), argv, { env: { ...process.env, KUBECONFIG: cluster.kubectl.kubeconfig } });
  const resident = (which: 'server' | 'agent') =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${cluster.pid(which)}/status`, 'utf8'))![1]) / 1024;

  /** Runs `work` and asserts that server and agent grew by less than 80 MB at any moment. */
  async function atStableMemory(work: () => Promise<void>): Promise<void> {
    const before = { server: resident('server'), agent: resident('agent') };
    const most = { ...before };
    const timer = setInterval(() => {
      for (const which of ['server', 'agent'] as const) most[which] = Math.max(most[which], resident(which));
    }, 50);
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
    for (const which of ['server', 'agent'] as const)
      assert.ok(most[which] < before[which] + 80, `${which} grew from ${before[which]} to ${most[which]} MB`);
  }

  it('100 MB through exec, both ways, unharmed', () =>
    atStableMemory(async () => {
      const data = Buffer.alloc(MB, 'keelson ');
      const expected = createHash('sha256');
      const child = kubectlProcess('exec', '-i', 'box', '--', 'cat');
      const result = digest(child);
      for (let i = 0; i < 100; i++) {
        data.writeUInt32LE(i);
        expected.update(data);
        if (!child.stdin!.write(Buffer.from(data)))
          await new Promise((resolve) => child.stdin!.once('drain', resolve));
      }
      child.stdin!.end();
      assert.deepEqual(await result, { bytes: 100 * MB, sha256: expected.digest('hex'), code: 0 });
    }));

  it('100 MB of logs', () =>
    atStableMemory(async () => {
      await eventually('all that the container writes', async () => {
        await cluster.kubectl('exec', 'speaker', '--', 'test', '-e', '/tmp/done');
        return true;
      });
      const { bytes, code } = await digest(kubectlProcess('logs', 'speaker'));
      assert.equal(code, 0);
      assert.equal(bytes, LOG_BYTES);
    }));

  it('a terminal: its size, its echo, its exit code', async () => {
    const script = `stty rows 33 cols 77; ${tool('kubectl')} exec -it box -- sh`;
    const child = spawn('script', ['-qec', script, '/dev/null'], {
      env: { ...process.env, KUBECONFIG: cluster.kubectl.kubeconfig, TERM: 'xterm' },
    });
    let screen = '';
    child.stdout.on('data', (chunk) => (screen += chunk));
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    await eventually('a prompt', async () => /[#$] /.test(screen));
    child.stdin.write('stty size\n');
    await eventually('the size', async () => screen.includes('33 77'));
    child.stdin.write('exit 5\n');
    assert.equal(await closed, 5);
  });

  it('logs that are followed, until the container ends', async () => {
    const pod = shellPod('talks', 'for i in 1 2 3; do echo $i; sleep 0.3; done', {
      spec: { restartPolicy: 'Never' },
    });
    await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(pod) });
    await eventually('its start', async () =>
      /Running|Succeeded/.test(
        await cluster.kubectl('get', 'pod', 'talks', '-o', 'jsonpath={.status.phase}'),
      ),
    );
    assert.equal(await cluster.kubectl('logs', '-f', 'talks'), '1\n2\n3\n');
  });

  it('one pod for one command: its input, all that it says, and how it ends', async () => {
    const run = (name: string, script: string, stdin: string) =>
      cluster.kubectl.try(
        [
          'run',
          name,
          '--image=keelson.dev/demo:blue',
          '-iq',
          '--rm',
          '--restart=Never',
          '--command',
          '--',
        ].concat('sh', '-c', script),
        { stdin },
      );
    const [short, piped, failing] = await Promise.all([
      run('short', 'echo said at once; sleep 0.3', ''),
      run('piped', 'echo first; cat', 'from far away\n'),
      run('failing', 'cat; exit 3', 'last words\n'),
    ]);
    assert.match(short.stdout, /^said at once\n/);
    assert.match(piped.stdout, /^first\nfrom far away\n/);
    assert.match(failing.stdout, /^last words\n(?!last)/);
    assert.deepEqual([short.code, piped.code, failing.code], [0, 0, 3]);
  });

  it('attachments side by side, with input and without, that leave the container alone', async () => {
    const echo = shellPod('echo', 'while read line; do echo "got $line"; done', {
      container: { stdin: true },
    });
    await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(echo) });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/echo', '--timeout=30s');
    const attach = (...argv: string[]) => {
      const child = kubectlProcess('attach', 'echo', ...argv);
      const seen = { child, text: '' };
      child.stdout.on('data', (chunk) => (seen.text += chunk));
      return seen;
    };
    const [watching, writing] = [attach(), attach('-i')];
    await eventually('both to see the line', async () => {
      writing.child.stdin.write('one\n');
      return watching.text.includes('got one') && writing.text.includes('got one');
    });
    writing.child.stdin.end();
    writing.child.kill('SIGINT');
    const again = attach('-i');
    await eventually('who stayed and who came to see the line', async () => {
      again.child.stdin.write('two\n');
      return watching.text.includes('got two') && again.text.includes('got two');
    });
    assert.doesNotMatch(again.text, /one/);
    for (const { child } of [watching, again]) child.kill('SIGINT');
    const restarts = '-o=jsonpath={.status.containerStatuses[0].restartCount}';
    assert.equal(await cluster.kubectl('get', 'pod', 'echo', restarts), '0');
    const { stderr } = await cluster.kubectl.try(['attach', 'echo', '-c', 'nobody']);
    assert.match(stderr, /container nobody not found in pod echo/);
  });

  it('a client that vanishes leaves no process behind', async () => {
    const child = kubectlProcess('exec', '-i', 'box', '--', 'sh', '-c', 'exec sleep 54321');
    const processes = () => cluster.kubectl('exec', 'box', '--', 'ps', '-o', 'args');
    await eventually('the process', async () => (await processes()).includes('sleep 54321'));
    child.kill('SIGKILL');
    await eventually('its end', async () => !(await processes()).includes('sleep 54321'));
  });
});
