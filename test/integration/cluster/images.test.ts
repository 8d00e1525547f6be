import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';
import { register } from '../../fixtures/registry.js';
import { makeLayout, sh, startRegistry, type TestRegistry } from '../images/fixture.js';

describe('keelson image', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let registry: TestRegistry;
  let dir: string;
  let layout: string;
  const image = async (...argv: string[]) => {
    const { code, stdout, stderr } = await cluster.keelson(['image', argv[0]!], ...argv.slice(1));
    assert.equal(code, 0, stderr);
    return stdout;
  };

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-'));
    register({ kind: 'dir', path: dir });
    layout = await makeLayout(dir);
    registry = await startRegistry(dir);
    await sh(
      'skopeo',
      'copy',
      '--dest-tls-verify=false',
      `oci:${layout}`,
      `docker://${registry.host}/team/app:v1`,
    );
    cluster = await startTestCluster();
  });
  after(async () => {
    await cluster?.down();
    await registry?.stop();
    rmSync(dir, { recursive: true });
  });

  it('lists what every node has', async () => {
    assert.match(
      await image('list'),
      /^IMAGE\s+ID\s+SIZE\n[\s\S]*keelson\.dev\/demo:blue\s+[0-9a-f]{12}\s+\d/,
    );
  });

  it('imports an archive under a name, and a pod runs from it', async () => {
    await sh('skopeo', 'copy', `oci:${layout}`, `docker-archive:${join(dir, 'app.tar')}:made.example/app:1`);
    assert.match(await image('import', join(dir, 'app.tar')), /made\.example\/app:1/);
    const container = {
      image: 'made.example/app:1',
      imagePullPolicy: 'Never' as const,
      command: ['/bin/sh', '-c', 'busybox cat /opt/new; exec busybox sleep 1000'],
    };
    await cluster.kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify(shellPod('imported', '', { container })),
    });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/imported', '--timeout=30s');
    await eventually('its log', async () => (await cluster.kubectl('logs', 'imported')) === 'new\n');
    const busy = await cluster.keelson(['image', 'remove'], 'made.example/app:1');
    assert.equal(busy.code, 1);
    assert.match(busy.stderr, /^keelson: made\.example\/app:1 is in use by container c/);
    await cluster.kubectl('delete', 'pod', 'imported', '--now');
    await image('remove', 'made.example/app:1');
    assert.doesNotMatch(await image('list'), /made\.example/);
  });

  it('pulls from a registry, by hand and for a pod', async () => {
    const name = `${registry.host}/team/app:v1`;
    assert.match(await image('pull', name), new RegExp(name));
    await image('remove', name);
    const container = { image: name, command: ['/bin/sh', '-c', 'exec busybox sleep 1000'] };
    await cluster.kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify(shellPod('pulled', '', { container })),
    });
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod/pulled', '--timeout=30s');
    assert.match(await cluster.kubectl('describe', 'pod', 'pulled'), /Successfully pulled image/);
  });

  it('says what is wrong, in one sentence', async () => {
    for (const [argv, says] of [
      [['pull', `${registry.host}/no/such:1`], /^keelson: .*not found/],
      [['import', '/no/such.tar'], /^keelson: .*\/no\/such\.tar/],
      [['remove', 'no.such/image:1'], /^keelson: .*no\.such\/image:1/],
    ] as const) {
      const { code, stderr } = await cluster.keelson(['image', argv[0]], ...argv.slice(1));
      assert.equal(code, 1);
      assert.match(stderr, says);
    }
  });
});
