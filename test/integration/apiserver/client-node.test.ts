/** The JavaScript client of the Kubernetes project: informers, apply, patches, watches that go on where they were. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CoreV1Api, KubeConfig, KubernetesObject, V1ConfigMap } from '@kubernetes/client-node';
import * as client from '@kubernetes/client-node';
import { eventually } from '../../fixtures/cluster.js';
import { startServer, type TestServer } from './server.js';

const namespace = 'default';
const PATH = '/api/v1/namespaces/default/configmaps';

describe('apiserver: @kubernetes/client-node', function () {
  this.timeout(30_000);
  let server: TestServer;
  let config: KubeConfig;
  let core: CoreV1Api;
  const body = (name: string, data: Record<string, string> = {}): V1ConfigMap => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels: { app: 'client' } },
    data,
  });
  const create = (name: string, data?: Record<string, string>) =>
    core.createNamespacedConfigMap({ namespace, body: body(name, data) });
  before(async () => {
    server = await startServer();
    config = new client.KubeConfig();
    config.loadFromString(readFileSync(join(server.dir, 'kubeconfig'), 'utf8'));
    core = config.makeApiClient(client.CoreV1Api);
  });
  after(() => server?.close());

  it('follows objects with an informer', async () => {
    await create('before');
    const seen: string[] = [];
    const informer = client.makeInformer(
      config,
      PATH,
      () => core.listNamespacedConfigMap({ namespace, labelSelector: 'app=client' }),
      'app=client',
    );
    for (const event of ['add', 'update', 'delete'] as const)
      informer.on(event, ({ metadata }) => seen.push(`${event} ${metadata?.name}`));
    await informer.start();
    try {
      await create('after');
      await core.patchNamespacedConfigMap(
        { name: 'after', namespace, body: { data: { a: '1' } } },
        client.setHeaderOptions('Content-Type', client.PatchStrategy.MergePatch),
      );
      await core.deleteNamespacedConfigMap({ name: 'before', namespace });
      const expected = ['add before', 'add after', 'update after', 'delete before'];
      await eventually('the events', async () => seen.length >= expected.length);
      assert.deepEqual(seen, expected);
      assert.equal(informer.get('after', namespace)?.data?.['a'], '1');
      assert.equal(informer.list().length, 1);
    } finally {
      await informer.stop();
    }
  });

  it('applies, and is told of conflicts', async () => {
    const apply = (fieldManager: string, value: string, force?: boolean) =>
      core.patchNamespacedConfigMap(
        {
          name: 'applied',
          namespace,
          fieldManager,
          ...(force === undefined ? {} : { force }),
          body: body('applied', { key: value }),
        },
        client.setHeaderOptions('Content-Type', client.PatchStrategy.ServerSideApply),
      );
    assert.equal((await apply('one', 'a')).data?.['key'], 'a');
    await assert.rejects(apply('two', 'b'), { code: 409 });
    const forced = await apply('two', 'b', true);
    assert.deepEqual(
      forced.metadata?.managedFields?.map(({ manager, operation }) => [manager, operation]).sort(),
      [
        ['one', 'Apply'],
        ['two', 'Apply'],
      ],
    );
  });

  it('patches by JSON patch and strategic merge, and replaces', async () => {
    await create('patched', { a: '1' });
    const patch = (strategy: string, change: object) =>
      core.patchNamespacedConfigMap(
        { name: 'patched', namespace, body: change },
        client.setHeaderOptions('Content-Type', strategy),
      );
    const added = await patch(client.PatchStrategy.JsonPatch, [{ op: 'add', path: '/data/b', value: '2' }]);
    assert.deepEqual(added.data, { a: '1', b: '2' });
    const merged = await patch(client.PatchStrategy.StrategicMergePatch, { data: { a: null, c: '3' } });
    assert.deepEqual(merged.data, { b: '2', c: '3' });
    const stale = { ...added, data: { lost: 'update' } };
    await assert.rejects(core.replaceNamespacedConfigMap({ name: 'patched', namespace, body: stale }), {
      code: 409,
    });
  });

  it('goes on with a watch from where it was', async () => {
    const first = await create('watched-1');
    await create('watched-2');
    const names: string[] = [];
    const watching = await new client.Watch(config).watch(
      PATH,
      { resourceVersion: first.metadata?.resourceVersion },
      (type, object) => names.push(`${type} ${object.metadata.name}`),
      () => undefined,
    );
    await create('watched-3');
    await eventually('both events', async () => names.length === 2);
    watching.abort();
    assert.deepEqual(names, ['ADDED watched-2', 'ADDED watched-3']);
  });

  it('finds kinds by discovery', async () => {
    const objects = client.KubernetesObjectApi.makeApiClient(config);
    const made = await objects.create<KubernetesObject>({
      ...body('generic'),
      metadata: { name: 'generic', namespace },
    });
    assert.equal(made.kind, 'ConfigMap');
    const read = await objects.read<KubernetesObject>({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'generic', namespace },
    });
    assert.equal(read.metadata?.uid, made.metadata?.uid);
  });
});
