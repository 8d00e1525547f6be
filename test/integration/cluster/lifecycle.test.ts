import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';
import { eventually, keelson, MAIN, newClusterPlace, startTestCluster } from '../../fixtures/cluster.js';
import { assertNoLeaks, logsOfPods, OURS, snapshot } from '../../fixtures/leaks.js';
import { register } from '../../fixtures/registry.js';
import { run, tool } from '../../fixtures/tools.js';

describe('keelson up and down', function () {
  this.timeout(120_000);

  it('leaves nothing behind, with pods running and ended when it goes down', async () => {
    const before = snapshot(OURS);
    const cluster = await startTestCluster();
    await cluster.kubectl('apply', '-f', 'examples/ch05-pods/kuard-pod.yaml');
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/kuard', '--timeout=30s');
    assert.match((await cluster.keelson(['status'])).stdout, /node node-1: Ready[\s\S]*pods: 1 running/);
    const ended = ['run', 'ended', '--image=busybox', '--restart=Never', '--', 'true'];
    await cluster.kubectl(...ended);
    await cluster.kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/ended', '--timeout=30s');
    const names = ['kuard', 'ended'];
    const argv = ['get', 'pods', ...names, '-o', 'jsonpath={.items[*].metadata.uid}'];
    const uids = (await cluster.kubectl(...argv)).split(' ');
    for (const uid of uids) assert.ok(logsOfPods([uid]).length > 0);
    const folder = join(cluster.dataDir, 'nodes', cluster.node, 'pods', uids[1]!);
    await eventually('the ended pod to be taken down', async () => !existsSync(join(folder, 'etc-hosts')));
    writeFileSync(join(cluster.dataDir, 'not-ours'), 'kept');
    assert.equal((await cluster.keelson(['down'])).code, 0);
    await assertNoLeaks(before, OURS);
    assert.deepEqual(logsOfPods(uids), []);
    assert.ok(!existsSync(cluster.runDir));
    assert.deepEqual(readdirSync(cluster.dataDir), ['not-ours']);
    rmSync(cluster.dataDir, { recursive: true });
  });

  it('merges a context into the kubeconfig and takes it away again', async () => {
    const { name, dataDir } = newClusterPlace();
    const KUBECONFIG = join(dataDir, 'user-kubeconfig');
    const place = ['--name', name, '--data-dir', join(dataDir, 'cluster')];
    const up = await keelson(['up', ...place], { env: { KUBECONFIG } });
    assert.equal(up.code, 0, up.stderr);
    assert.match(up.stdout, /Starting the control plane\nStarting the node\n/);
    const nodes = await run(tool('kubectl'), ['get', 'nodes'], { env: { KUBECONFIG } });
    assert.match(nodes.stdout, /Ready/);
    assert.equal(parse(readFileSync(KUBECONFIG, 'utf8'))['current-context'], `keelson-${name}`);
    const down = await keelson(['down', ...place], { env: { KUBECONFIG } });
    assert.equal(down.code, 0, down.stderr);
    assert.deepEqual(parse(readFileSync(KUBECONFIG, 'utf8')).contexts, []);
    rmSync(dataDir, { recursive: true });
  });

  it('refuses a second cluster of the same name, and leaves the first alone', async () => {
    const cluster = await startTestCluster();
    try {
      const second = await cluster.keelson(['up']);
      assert.equal(second.code, 1);
      assert.match(second.stderr, /^keelson: A cluster named "\S+" is running already/);
      assert.match(await cluster.kubectl('get', 'nodes'), /Ready/);
    } finally {
      await cluster.down();
    }
  });

  it('gives clusters that start at once ports and ranges of their own, and a name to one only', async () => {
    const places = [newClusterPlace(), newClusterPlace(), newClusterPlace()];
    const place = ({ name, dataDir }: { name: string; dataDir: string }) => [
      ...['--name', name, '--data-dir', join(dataDir, 'cluster')],
    ];
    const starts = [...places, places[0]!].map((at) => keelson(['up', ...place(at), '--no-kubeconfig']));
    const ups = await Promise.all(starts);
    const refused = ups.filter(({ code }) => code !== 0);
    const configs = places.map(({ dataDir }) =>
      JSON.parse(readFileSync(join(dataDir, 'cluster/cluster.json'), 'utf8')),
    );
    const downs = await Promise.all(places.map((at) => keelson(['down', ...place(at)])));
    assert.deepEqual(
      refused.map(({ stderr }) => stderr.replace(/t\d+-\d+/, 'x').slice(0, 50)),
      ['keelson: A cluster named "x" is running already: u'],
    );
    for (const what of ['apiPort', 'clusterCidr', 'serviceCidr', 'nodeCidr'])
      assert.equal(new Set(configs.map((config) => config[what])).size, 3, what);
    assert.deepEqual(
      downs.map(({ code }) => code),
      [0, 0, 0],
    );
    for (const { dataDir } of places) rmSync(dataDir, { recursive: true });
  });

  for (const phase of ['Starting the control plane', 'Starting 2 nodes'])
    it(`leaves nothing behind when it is interrupted at "${phase}"`, async () => {
      const before = snapshot(OURS);
      const { name, dataDir } = newClusterPlace();
      const argv = [
        'up',
        '--name',
        name,
        '--data-dir',
        join(dataDir, 'c'),
        '--nodes',
        '2',
        '--no-kubeconfig',
      ];
      const up = spawn(process.execPath, [MAIN, ...argv]);
      let said = '';
      up.stdout.on('data', (chunk) => {
        said += chunk;
        if (said.includes(phase)) up.kill('SIGINT');
      });
      up.stderr.on('data', (chunk) => {
        said += chunk;
      });
      const code = await new Promise((resolve) => up.once('close', resolve));
      assert.equal(code, 130, said);
      assert.match(said, /\nkeelson: Interrupted\.\n$/);
      await assertNoLeaks(before, OURS);
      assert.deepEqual(readdirSync(dataDir), []);
      rmSync(dataDir, { recursive: true });
    });

  it('is found by its name alone, wherever its data is', async () => {
    const { name, dataDir } = newClusterPlace();
    const place = ['--name', name];
    const up = await keelson(['up', ...place, '--data-dir', join(dataDir, 'c'), '--no-kubeconfig']);
    assert.equal(up.code, 0, up.stderr);
    assert.match((await keelson(['status', ...place])).stdout, /: Ready\n/);
    assert.equal((await keelson(['down', ...place])).code, 0);
    assert.deepEqual(readdirSync(dataDir), []);
    rmSync(dataDir, { recursive: true });
  });

  it('goes down to its end when nobody reads what it says', async () => {
    const cluster = await startTestCluster();
    const command = `set -o pipefail; "$0" "$1" down --name ${cluster.name} --data-dir ${cluster.dataDir} | true`;
    const down = await run('bash', ['-c', command, process.execPath, MAIN]);
    assert.deepEqual([down.code, down.stderr], [0, '']);
    assert.ok(!existsSync(cluster.runDir));
    rmSync(cluster.dataDir, { recursive: true, force: true });
  });

  it('keeps its objects through down --keep-data and up', async () => {
    const cluster = await startTestCluster();
    try {
      await cluster.kubectl('create', 'configmap', 'kept', '--from-literal=a=b');
      assert.equal((await cluster.keelson(['down'], '--keep-data')).code, 0);
      await cluster.restart('server');
      assert.match(await cluster.kubectl('get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}'), /^b$/);
    } finally {
      await cluster.down();
    }
  });

  it('says which port is taken, and makes nothing', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '0.0.0.0', resolve));
    const { port } = taken.address() as { port: number };
    const { name, dataDir } = newClusterPlace();
    const data = join(dataDir, 'cluster');
    const up = await keelson(['up', '--name', name, '--data-dir', data, '--port', `${port}`]);
    taken.close();
    assert.equal(up.code, 1);
    assert.match(up.stderr, new RegExp(`^keelson: Port ${port} is taken by another program`));
    assert.ok(!existsSync(data));
    assert.ok(!existsSync(`/run/keelson/${name}`));
    rmSync(dataDir, { recursive: true });
  });

  it('names the cgroup controller that is missing', async function () {
    if (!existsSync('/sys/fs/cgroup/pids')) this.skip(); // cgroup v2 offers all or none
    const { name, dataDir } = newClusterPlace();
    const command = `umount /sys/fs/cgroup/pids && exec "$0" "$1" up --name ${name} --data-dir ${dataDir}`;
    const up = await run('unshare', ['--mount', 'sh', '-c', command, process.execPath, MAIN]);
    assert.equal(up.code, 1);
    assert.match(up.stderr, /^keelson: The cgroup controller pids can't be used/);
    assert.ok(!existsSync(dataDir));
  });

  it('says that the disk is full, and makes nothing', async () => {
    const { name, dataDir } = newClusterPlace();
    register({ kind: 'mount', path: dataDir });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=10m', 'tmpfs', dataDir]);
    try {
      const up = await keelson(['up', '--name', name, '--data-dir', join(dataDir, 'cluster')]);
      assert.equal(up.code, 1);
      assert.match(up.stderr, /^keelson: The disk is full: \S+ has \d+ MiB left/);
      assert.ok(!existsSync(join(dataDir, 'cluster')));
    } finally {
      execFileSync('umount', [dataDir]);
      rmSync(dataDir, { recursive: true });
    }
  });

  it('cleans up when its server cannot start, and says why', async () => {
    const { name, dataDir } = newClusterPlace();
    const data = join(dataDir, 'cluster');
    mkdirSync(join(data, 'pki'), { recursive: true });
    writeFileSync(join(data, 'pki/ca.crt'), 'nonsense');
    writeFileSync(join(data, 'pki/ca.key'), 'nonsense');
    const up = await keelson(['up', '--name', name, '--data-dir', data]);
    assert.equal(up.code, 1);
    assert.match(up.stderr, /^keelson: The server ended at its start .*ca\.crt is not a certificate/m);
    assert.ok(!existsSync(`/run/keelson/${name}`));
    rmSync(dataDir, { recursive: true });
  });
});
