import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pod } from '#types';
import { eventually, startTestCluster, type TestCluster } from '../../fixtures/cluster.js';
import { shellPod } from '../../fixtures/pods.js';

describe('static pods', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  const folder = mkdtempSync(join(tmpdir(), 'keelson-test-static-'));
  const name = 'web-node-1';

  function manifest(file: string, script: string, env: object[] = []): void {
    const pod = shellPod('web', script, { container: { env } as never });
    pod.metadata.labels = { app: 'static' };
    // As editors do: the file is never there in part.
    writeFileSync(join(folder, `.${file}`), JSON.stringify(pod));
    renameSync(join(folder, `.${file}`), join(folder, file));
  }

  before(async () => {
    mkdirSync(folder, { recursive: true });
    manifest('web.json', 'echo first; sleep 100000');
    cluster = await startTestCluster(`--pod-manifest-path=${folder}`);
  });
  after(async () => {
    await cluster?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  const get = async (): Promise<Pod> => JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json'));
  const running = (isOther: (pod: Pod) => boolean = () => true) =>
    eventually('the mirror is there and runs', async () => {
      const pod = await get().catch(() => undefined);
      return pod?.status?.phase === 'Running' && isOther(pod) && pod;
    });
  const containerId = ({ status }: Pod) => status?.containerStatuses?.[0]?.containerID;

  it('run from files and show as mirror pods', async () => {
    const { metadata, spec } = await running();
    const { annotations = {}, ownerReferences = [] } = metadata;
    assert.equal(annotations['kubernetes.io/config.source'], 'file');
    assert.match(annotations['kubernetes.io/config.hash']!, /^[0-9a-f]{32}$/);
    assert.equal(annotations['kubernetes.io/config.mirror'], annotations['kubernetes.io/config.hash']);
    assert.deepEqual(
      ownerReferences.map(({ kind, name: owner, controller }) => [kind, owner, controller]),
      [['Node', 'node-1', true]],
    );
    assert.equal(spec.nodeName, 'node-1');
    assert.equal(metadata.labels?.['app'], 'static');
    assert.equal((await cluster.kubectl('logs', name)).trim(), 'first');
    assert.equal((await cluster.kubectl('exec', name, '--', 'echo', 'in it')).trim(), 'in it');
  });

  it('outlive the deletion of their mirrors, which come back', async () => {
    const before = await running();
    await cluster.kubectl('delete', 'pod', name, '--wait=false');
    const after = await running(({ metadata }) => metadata.uid !== before.metadata.uid);
    assert.equal(containerId(after), containerId(before));
  });

  it('outlive the agent', async () => {
    const before = await running();
    process.kill(cluster.pid('agent'), 'SIGKILL');
    await cluster.restart('agent');
    const after = await running();
    assert.equal(containerId(after), containerId(before));
    assert.equal(after.metadata.uid, before.metadata.uid);
    assert.equal(after.status?.containerStatuses?.[0]?.restartCount, 0);
  });

  it('start again as their files change', async () => {
    const before = await running();
    manifest('web.json', 'echo second; sleep 100000');
    const after = await running(({ metadata }) => metadata.uid !== before.metadata.uid);
    assert.notEqual(containerId(after), containerId(before));
    await eventually('the new log', async () => (await cluster.kubectl('logs', name)).trim() === 'second');
  });

  it('may not refer to objects of the API', async () => {
    const secret = [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }];
    writeFileSync(join(folder, 'broken.yaml'), 'kind: Pod\n  apiVersion: ]');
    const pod = shellPod('other', 'sleep 100000', { container: { env: secret } as never });
    writeFileSync(join(folder, 'other.json'), JSON.stringify(pod));
    writeFileSync(
      join(folder, 'third.yaml'),
      JSON.stringify(shellPod('third', 'sleep 100000', { spec: { hostNetwork: true } })),
    );
    await eventually('the third runs', async () =>
      /third-node-1 .*Running/.test(await cluster.kubectl('get', 'pods')),
    );
    assert.doesNotMatch(await cluster.kubectl('get', 'pods'), /other/);
  });

  it('end with their files', async () => {
    for (const file of ['web.json', 'third.yaml']) rmSync(join(folder, file));
    await eventually('nothing is left', async () => {
      const { stderr, stdout } = await cluster.kubectl.try(['get', 'pods']);
      return !stdout.includes('node-1') && /No resources found/.test(stderr);
    });
    const pods = JSON.parse(await cluster.kubectl('get', '--raw', '/api/v1/nodes/node-1/proxy/pods'));
    await eventually('the node has none', async () => {
      const found = JSON.parse(await cluster.kubectl('get', '--raw', '/api/v1/nodes/node-1/proxy/pods'));
      return found.items.length === 0;
    });
    assert.equal(pods.kind, 'PodList');
  });
});
