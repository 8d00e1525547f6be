/** A node whose disk is full, or has lost some of its images: what runs goes on, and the rest is told and made good. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '#types';
import { eventually, startTestCluster, type TestCluster } from '../fixtures/cluster.js';
import { shellPod } from '../fixtures/pods.js';
import { register } from '../fixtures/registry.js';

const SLEEP = "trap 'exit 0' TERM; sleep 1000 & wait";

describe('the disk of a node', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let node: string;
  let images: string;
  const mounts: string[] = [];

  const get = async (name: string): Promise<Pod> =>
    JSON.parse(await cluster.kubectl('get', 'pod', name, '-o', 'json'));
  const apply = async (object: object) => {
    const { code, stderr } = await cluster.kubectl.try(['apply', '-f', '-'], {
      stdin: JSON.stringify(object),
    });
    assert.equal(code, 0, stderr);
  };
  const ready = (name: string) =>
    cluster.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=40s');
  const events = (name: string) =>
    cluster.kubectl('get', 'events', '--field-selector', `involvedObject.name=${name}`);
  const identity = async () => {
    const [status] = (await get('bystander')).status!.containerStatuses!;
    return [status!.containerID, status!.restartCount];
  };

  before(async () => {
    cluster = await startTestCluster('--eviction-hard', 'nodefs.available<0%');
    node = join(cluster.dataDir, 'nodes', cluster.node);
    images = join(cluster.dataDir, 'images');
    await apply(shellPod('bystander', SLEEP));
    await ready('bystander');
  });
  afterEach(() => {
    for (const path of mounts.splice(0)) execFileSync('umount', ['-l', path]);
  });
  after(() => cluster?.down());

  /** Nothing fits into the folder until the answer is called. */
  const fill = (folder: string): (() => void) => {
    register({ kind: 'mount', path: folder });
    // What is mounted below it stays reachable for those that have it.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,nr_inodes=40', 'tmpfs', folder]);
    mounts.push(folder);
    const filler = join(folder, '.filler');
    mkdirSync(filler);
    const fills = (name: string, bytes: number) => {
      try {
        writeFileSync(join(filler, name), Buffer.alloc(bytes));
        return false;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === 'ENOSPC';
      }
    };
    assert.ok(fills('bytes', 1 << 20));
    for (let i = 0; !fills(`inode-${i}`, 0); i++) assert.ok(i < 100);
    return () => rmSync(filler, { recursive: true });
  };

  it('that is full when a container is made keeps it waiting, also one that never starts again', async () => {
    const before = await identity();
    const empty = fill(join(node, 'containers'));
    await apply(shellPod('unmade', SLEEP, { spec: { restartPolicy: 'Never' } }));
    const message = await eventually('it to be told', async () => {
      const { waiting } = (await get('unmade')).status?.containerStatuses?.[0]?.state ?? {};
      return waiting?.reason === 'CreateContainerError' && waiting.message;
    });
    assert.match(message, /no space left on device/);
    assert.match(await events('unmade'), /Warning +Failed .*no space left on device/);
    assert.equal((await get('unmade')).status!.phase, 'Pending');
    empty();
    await ready('unmade');
    assert.deepEqual(await identity(), before);
    await cluster.kubectl('delete', 'pod', 'unmade');
  });

  it('that is full when volumes are made keeps the pod waiting', async () => {
    const empty = fill(join(node, 'pods'));
    await cluster.kubectl('create', 'configmap', 'large', `--from-literal=key=${'x'.repeat(20_000)}`);
    const volumes = [{ name: 'v', configMap: { name: 'large' } }];
    const volumeMounts = [{ name: 'v', mountPath: '/v' }];
    await apply(shellPod('unmounted', SLEEP, { container: { volumeMounts }, spec: { volumes } }));
    await eventually('it to be told', async () =>
      /FailedToMakePodDataDirectories.*no space left/.test(await events('unmounted')),
    );
    empty();
    await ready('unmounted');
    assert.equal((await cluster.kubectl('exec', 'unmounted', '--', 'cat', '/v/key')).length, 20_000);
    await cluster.kubectl('delete', 'pod', 'unmounted');
  });

  it('that has lost a layer of an image gets it again for the next container', async () => {
    const [layer] = readdirSync(join(images, 'layers'));
    renameSync(join(images, 'layers', layer!), join(images, 'lost'));
    await apply(shellPod('relayered', SLEEP));
    await ready('relayered');
    assert.ok(readdirSync(join(images, 'layers')).includes(layer!));
    await cluster.kubectl('delete', 'pod', 'relayered');
  });

  it('with a damaged index of images is told by the agent, which goes on without harm to what runs', async () => {
    const index = join(images, 'index.json');
    const before = await identity();
    // While the agent runs, and while it does not.
    for (const name of ['indexed-1', 'indexed-2']) {
      truncateSync(index, 100);
      if (name === 'indexed-2') {
        process.kill(cluster.pid('agent'), 'SIGKILL');
        await cluster.restart('agent');
      }
      await apply(shellPod(name, SLEEP, { container: { image: 'keelson.dev/demo:green' } }));
      await ready(name);
      if (name === 'indexed-2') JSON.parse(readFileSync(index, 'utf8'));
    }
    assert.match(readFileSync(join(node, 'agent.log'), 'utf8'), /the index of images is damaged/);
    assert.equal(await cluster.kubectl('exec', 'bystander', '--', 'echo', 'well'), 'well\n');
    assert.deepEqual(await identity(), before);
  });
});
