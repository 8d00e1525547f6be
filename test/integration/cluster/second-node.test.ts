import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, MAIN, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { assertNoLeaks, OURS, snapshot } from '../../fixtures/leaks.js';
import { register, registerProcess } from '../../fixtures/registry.js';

const ip = (...argv: string[]) => execFileSync('ip', argv);

/** A network namespace joined to this one by a veth pair: another host, as far as the network goes. */
class OtherHost {
  readonly netns = `kt-${process.pid}`;
  readonly link = `kt${process.pid}`;
  readonly address = '198.51.100.2';
  readonly gateway = '198.51.100.1';
  readonly dataDir = mkdtempSync(join(tmpdir(), 'keelson-test-'));

  constructor() {
    register({ kind: 'netns', name: this.netns });
    register({ kind: 'link', name: this.link });
    register({ kind: 'dir', path: this.dataDir });
    ip('netns', 'add', this.netns);
    ip('link', 'add', this.link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.netns);
    ip('addr', 'add', `${this.gateway}/24`, 'dev', this.link);
    ip('link', 'set', this.link, 'up');
    ip('-n', this.netns, 'addr', 'add', `${this.address}/24`, 'dev', 'eth0');
    ip('-n', this.netns, 'link', 'set', 'eth0', 'up');
    ip('-n', this.netns, 'link', 'set', 'lo', 'up');
    ip('-n', this.netns, 'route', 'add', 'default', 'via', this.gateway);
  }

  run(argv: string[]): ChildProcess {
    const netns = `--net=/run/netns/${this.netns}`;
    const child = spawn('nsenter', [netns, process.execPath, MAIN, ...argv], {
      stdio: 'pipe',
    });
    registerProcess(child.pid!);
    return child;
  }

  remove(): void {
    // The pair goes with its namespace only when nothing holds that any more.
    ip('link', 'delete', this.link);
    ip('netns', 'delete', this.netns);
    rmSync(this.dataDir, { recursive: true });
  }
}

describe('a second node', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let host: OtherHost;
  let untouched: ReturnType<typeof snapshot>;

  before(async () => {
    untouched = snapshot(OURS);
    host = new OtherHost();
    cluster = await startTestCluster();
  });
  after(async () => {
    await cluster?.down();
    host?.remove();
    await assertNoLeaks(untouched, OURS);
  });

  /** What `keelson token` prints, as it is, and where this host keeps its own data. */
  const agent = async (wrong: { token?: string; caHash?: string } = {}) => {
    const { stdout } = await cluster.keelson(['token']);
    const [, ...argv] = stdout.trim().split(' ');
    if (wrong.token) argv[argv.indexOf('--token') + 1] = wrong.token;
    if (wrong.caHash) argv[argv.indexOf('--ca-hash') + 1] = wrong.caHash;
    return host.run([...argv, '--data-dir', host.dataDir, '--name', 'node-2']);
  };
  const exited = (child: ChildProcess) => new Promise<number | null>((resolve) => child.on('exit', resolve));

  it('is refused with a wrong token or a wrong CA, in one sentence', async () => {
    for (const [wrong, says] of [
      [
        { token: 'aaaaaa.0000000000000000' },
        /^keelson: .* refuses this node: the bootstrap token is not valid\.$/m,
      ],
      [
        { caHash: `sha256:${'0'.repeat(64)}` },
        /^keelson: This node can't join: the hub at \S+ shows no CA with the hash sha256:0+\.$/m,
      ],
    ] as const) {
      const child = await agent(wrong);
      let stderr = '';
      child.stderr!.on('data', (chunk) => (stderr += chunk));
      assert.equal(await exited(child), 1);
      assert.match(stderr, says);
    }
    assert.doesNotMatch(await cluster.kubectl('get', 'nodes'), /node-2/);
  });

  it('joins, runs pods with addresses of its own range, and gives logs and exec through its own connection', async () => {
    const child = await agent();
    try {
      await eventually('node-2 to be there', () => cluster.kubectl('get', 'node', 'node-2'));
      await cluster.kubectl('wait', '--for=condition=Ready', 'node/node-2', '--timeout=30s');
      const spec = { nodeName: 'node-2', containers: [{ name: 'c', image: 'keelson.dev/demo:blue' }] };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'there' }, spec };
      await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(pod) });
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/there', '--timeout=30s');
      const cidr = (node: string) => cluster.kubectl('get', 'node', node, '-o', 'jsonpath={.spec.podCIDR}');
      assert.notEqual(await cidr('node-1'), await cidr('node-2'));
      const podIp = await cluster.kubectl('get', 'pod', 'there', '-o', 'jsonpath={.status.podIP}');
      assert.equal(
        podIp.split('.').slice(0, 3).join('.'),
        (await cidr('node-2')).split('.').slice(0, 3).join('.'),
      );
      assert.match(await cluster.kubectl('exec', 'there', '--', 'hostname'), /^there$/m);
      await cluster.kubectl('logs', 'there');
      // The other node is behind the router, which knows the way.
      const here = { ...pod, metadata: { name: 'here' }, spec: { ...spec, nodeName: 'node-1' } };
      await cluster.kubectl.try(['apply', '-f', '-'], { stdin: JSON.stringify(here) });
      await cluster.kubectl('wait', '--for=condition=Ready', 'pod/here', '--timeout=30s');
      const hereIp = await cluster.kubectl('get', 'pod', 'here', '-o', 'jsonpath={.status.podIP}');
      for (const [from, to, ip] of [
        ['there', 'here', hereIp],
        ['here', 'there', podIp],
      ] as const) {
        const answer = await cluster.kubectl('exec', from, '--', 'wget', '-qO-', `http://${ip}:8080/`);
        assert.equal(JSON.parse(answer).hostname, to);
      }
      await cluster.kubectl('delete', 'pod', 'there', '--grace-period=1');
      // Who deletes the Node has not taken its certificate back: a new agent makes it again.
      await cluster.kubectl('delete', 'node', 'node-2');
      child.kill('SIGTERM');
      await exited(child);
      const again = await agent({ token: 'aaaaaa.0000000000000000' });
      await cluster.kubectl('wait', '--for=create', 'node/node-2', '--timeout=30s');
      again.kill('SIGTERM');
      await exited(again);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('does not come back with its certificate once it is removed, but by a new join', async () => {
    const removed = await cluster.keelson(['node', 'remove', 'node-2']);
    assert.match(removed.stdout, /^node node-2 removed/);
    const child = await agent();
    let stderr = '';
    child.stderr!.on('data', (chunk) => (stderr += chunk));
    assert.equal(await exited(child), 1);
    assert.match(
      stderr,
      /^keelson: The control plane refuses this node: node node-2 was removed from the cluster.* delete \S+\/pki first\.$/m,
    );
    rmSync(join(host.dataDir, 'nodes', 'node-2', 'pki'), { recursive: true });
    const joined = await agent();
    try {
      await cluster.kubectl('wait', '--for=create', 'node/node-2', '--timeout=30s');
      await cluster.kubectl('wait', '--for=condition=Ready', 'node/node-2', '--timeout=30s');
    } finally {
      joined.kill('SIGTERM');
      await exited(joined);
    }
    assert.match(
      (await cluster.keelson(['node', 'remove', 'node-7'])).stderr,
      /^keelson: Cluster ".*" has no node "node-7"; it has: node-1, node-2\./,
    );
  });
});
