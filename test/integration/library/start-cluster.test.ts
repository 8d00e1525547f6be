/** Clusters for other projects' tests: several at once, with and without pods, gone with their process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Cluster, configMaps, pods, startCluster } from '../../../src/index.js';
import { eventually } from '../../fixtures/cluster.js';
import { assertNoLeaks, OURS, type Snapshot, snapshot } from '../../fixtures/leaks.js';
import { kubectl, run } from '../../fixtures/tools.js';

const LIBRARY = resolve('dist/src/index.js');
const pod = (name: string) => ({
  apiVersion: 'v1' as const,
  kind: 'Pod' as const,
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name, image: 'keelson.dev/demo:blue' }] },
});

describe('startCluster', function () {
  this.timeout(60_000);
  let before: Snapshot;
  beforeEach(() => {
    before = snapshot(OURS);
  });
  afterEach(() => assertNoLeaks(before, OURS, 20_000));

  const close = (clusters: Cluster[]) => Promise.all(clusters.map((cluster) => cluster.close()));

  it('gives API servers side by side, each with its own objects', async () => {
    const clusters = await Promise.all([startCluster(), startCluster()]);
    const [one, two] = clusters as [Cluster, Cluster];
    try {
      await one.client
        .of(configMaps)
        .create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'mine', namespace: 'default' } });
      assert.match(await kubectl(one.kubeconfig)('get', 'configmaps', '-o', 'name'), /configmap\/mine/);
      assert.doesNotMatch(await kubectl(two.kubeconfig)('get', 'configmaps', '-o', 'name'), /mine/);
    } finally {
      await close(clusters);
    }
    assert.equal(existsSync(one.kubeconfig), false);
  });

  it('gives clusters with nodes side by side, that run pods', async () => {
    const clusters = await Promise.all([startCluster({ nodes: 1 }), startCluster({ nodes: 2 })]);
    try {
      await Promise.all(
        clusters.map(async ({ client, kubeconfig }) => {
          await client.of(pods).create(pod('mine'));
          await kubectl(kubeconfig)('wait', '--for=condition=Ready', 'pod/mine', '--timeout=30s');
        }),
      );
      const nodes = await kubectl(clusters[1]!.kubeconfig)('get', 'nodes', '-o', 'name');
      assert.equal(nodes, 'node/node-1\nnode/node-2\n');
    } finally {
      await close(clusters);
    }
  });

  for (const nodes of [0, 1])
    it(`ends when its process is killed, with ${nodes} nodes`, async () => {
      const script = `import { startCluster } from '${LIBRARY}';
        const { kubeconfig } = await startCluster({ nodes: ${nodes} });
        console.log(kubeconfig);
        setInterval(() => {}, 1000);`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const kubeconfig = await new Promise<string>((resolve) =>
        child.stdout.once('data', (data) => resolve(`${data}`.trim())),
      );
      assert.match(await kubectl(kubeconfig)('get', '--raw', '/readyz'), /ok/);
      child.kill('SIGKILL');
      await eventually('its data removed', async () => !existsSync(kubeconfig));
    });

  it('tells what stands in the way', async () => {
    await assert.rejects(startCluster({ nodes: 1000 }), /--nodes takes a number from 1 to 200/);
  });

  for (const runner of ['mocha', 'vitest'])
    it(`serves in tests run by ${runner}, as documented`, async () => {
      const command = { mocha: 'node_modules/mocha/bin/mocha.js', vitest: 'node_modules/vitest/vitest.mjs' }[
        runner
      ]!;
      const argv = runner === 'mocha' ? [command] : [command, 'run', '--root'];
      const target =
        runner === 'mocha' ? 'examples/testing/mocha/labels.test.mjs' : 'examples/testing/vitest';
      const { code, stdout, stderr } = await run(process.execPath, [...argv, target]);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /1 pass/);
    });
});
