import assert from 'node:assert/strict';
import { ADMIN, configMap, type Harness, pod, startHarness } from './harness.js';

const refused = (code: number, reason: string, message: string | RegExp) => (error: any) => {
  assert.equal(error.code, code, error.message);
  assert.equal(error.reason, reason);
  if (typeof message === 'string') assert.equal(error.message, message);
  else assert.match(error.message, message);
  return true;
};

describe('apiserver: objects', () => {
  let h: Harness;
  before(async () => {
    h = await startHarness();
  });
  after(() => h.close());

  it('gives a new object its identity and refuses a second of the name', async () => {
    const made = await h.of('configmaps').create(configMap('one'));
    assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.match(made.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    await assert.rejects(
      h.of('configmaps').create(configMap('one')),
      refused(409, 'AlreadyExists', 'configmaps "one" already exists'),
    );
  });

  it('generates names', async () => {
    const object = configMap('');
    object.metadata = { generateName: 'gen-', namespace: 'default' } as typeof object.metadata;
    const names = await Promise.all(
      [1, 2].map(async () => (await h.of('configmaps').create(object)).metadata.name),
    );
    for (const name of names) assert.match(name, /^gen-[a-z0-9]{5}$/);
    assert.notEqual(names[0], names[1]);
    const namespace: any = await h.server.transport(ADMIN).request({
      method: 'POST',
      path: '/api/v1/namespaces',
      query: { dryRun: 'All' },
      body: { metadata: { generateName: 'gen-' } },
    });
    assert.equal(namespace.metadata.labels['kubernetes.io/metadata.name'], namespace.metadata.name);
  });

  it('needs a name, the right namespace, and one that exists', async () => {
    const nameless = configMap('');
    delete (nameless.metadata as any).name;
    await assert.rejects(
      h.of('configmaps').create(nameless),
      refused(
        422,
        'Invalid',
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
      ),
    );
    await assert.rejects(
      h.server.transport(ADMIN).request({
        method: 'POST',
        path: '/api/v1/namespaces/default/configmaps',
        body: configMap('x', { metadata: { namespace: 'other' } }),
      }),
      refused(
        400,
        'BadRequest',
        'the namespace of the provided object does not match the namespace sent on the request',
      ),
    );
    await assert.rejects(
      h.of('configmaps').create(configMap('x', { metadata: { namespace: 'nowhere' } })),
      refused(404, 'NotFound', 'namespaces "nowhere" not found'),
    );
  });

  it('writes nothing in a dry run', async () => {
    const tried = await h.of('configmaps').create(configMap('dry'), { dryRun: true });
    assert.equal(tried.metadata.name, 'dry');
    await assert.rejects(
      h.of('configmaps').get('default', 'dry'),
      refused(404, 'NotFound', 'configmaps "dry" not found'),
    );
  });

  it('updates with compare-and-swap, and writes no revision for no change', async () => {
    const made = await h.of('configmaps').create(configMap('cas'));
    const changed = await h.of('configmaps').update({ ...made, data: { a: '2' } });
    assert.notEqual(changed.metadata.resourceVersion, made.metadata.resourceVersion);
    await assert.rejects(
      h.of('configmaps').update({ ...made, data: { a: '3' } }),
      refused(
        409,
        'Conflict',
        'Operation cannot be fulfilled on configmaps "cas": the object has been modified; please apply your changes to the latest version and try again',
      ),
    );
    const before = h.store.revision;
    const same = await h.of('configmaps').update({ ...changed });
    assert.equal(same.metadata.resourceVersion, changed.metadata.resourceVersion);
    assert.equal(h.store.revision, before);
  });

  it('overwrites without a resourceVersion and keeps the identity', async () => {
    const made = await h.of('configmaps').create(configMap('blind'));
    const changed = await h.of('configmaps').update(configMap('blind', { data: { b: '1' } }));
    assert.equal(changed.metadata.uid, made.metadata.uid);
    assert.deepEqual(changed.data, { b: '1' });
    await assert.rejects(
      h
        .of('configmaps')
        .update({ ...changed, metadata: { ...changed.metadata, uid: 'other', resourceVersion: '' } }),
      refused(409, 'Conflict', /Precondition failed: UID in precondition: other, UID in object meta: /),
    );
  });

  it('patches in three ways, twenty at once without loss', async () => {
    await h.of('configmaps').create(configMap('patched'));
    const of = h.of('configmaps');
    await of.patch('default', 'patched', { data: { m: '1' } }, { type: 'merge' });
    await of.patch('default', 'patched', [{ op: 'add', path: '/data/j', value: '1' }], { type: 'json' });
    await of.patch('default', 'patched', { data: { a: null } }, { type: 'strategic' });
    assert.deepEqual((await of.get('default', 'patched')).data, { m: '1', j: '1' });
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        of.patch('default', 'patched', { data: { [`k${i}`]: 'x' } }, { type: 'merge' }),
      ),
    );
    assert.equal(Object.keys((await of.get('default', 'patched')).data).length, 22);
    await assert.rejects(
      of.patch('default', 'patched', { data: { a: 1 } }, { type: 'merge' }),
      (error: any) => error.code === 422 && /cannot unmarshal number/.test(error.message),
    );
  });

  it('counts generations of the spec alone', async () => {
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'gen', namespace: 'default' },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    };
    const of = h.of('deployments');
    assert.equal((await of.create(deployment as any)).metadata.generation, 1);
    assert.equal(
      (await of.patch('default', 'gen', { metadata: { labels: { x: 'y' } } }, { type: 'merge' })).metadata
        .generation,
      1,
    );
    assert.equal(
      (await of.patch('default', 'gen', { spec: { replicas: 3 } }, { type: 'merge' })).metadata.generation,
      2,
    );
    const status = await of.patch(
      'default',
      'gen',
      { status: { replicas: 3 }, spec: { replicas: 9 } },
      { type: 'merge', subresource: 'status' },
    );
    assert.deepEqual([status.metadata.generation, status.status.replicas, status.spec.replicas], [2, 3, 3]);
    const main = await of.patch('default', 'gen', { status: { replicas: 7 } }, { type: 'merge' });
    assert.equal(main.status.replicas, 3);
  });

  it('reads and writes scale', async () => {
    const transport = h.server.transport(ADMIN);
    const path = '/apis/apps/v1/namespaces/default/deployments/gen/scale';
    const scale = await transport.request<any>({ method: 'GET', path });
    assert.deepEqual([scale.kind, scale.spec.replicas, scale.status.selector], ['Scale', 3, 'a=b']);
    const headers = { 'content-type': 'application/merge-patch+json' };
    const patched = await transport.request<any>({
      method: 'PATCH',
      path,
      headers,
      body: { spec: { replicas: 5 } },
    });
    assert.equal(patched.spec.replicas, 5);
    assert.equal((await h.of('deployments').get('default', 'gen')).spec.replicas, 5);
    await assert.rejects(
      transport.request({ method: 'PATCH', path, headers, body: { spec: { replicas: -1 } } }),
      refused(
        422,
        'Invalid',
        'Scale.autoscaling "gen" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      ),
    );
  });

  describe('delete', () => {
    it('removes at once what nothing holds, and answers with a Status', async () => {
      const made = await h.of('configmaps').create(configMap('gone'));
      const answer = await h.server.transport(ADMIN).request<any>({
        method: 'DELETE',
        path: '/api/v1/namespaces/default/configmaps/gone',
      });
      assert.deepEqual(answer, {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: { name: 'gone', kind: 'configmaps', uid: made.metadata.uid },
      });
    });

    it('keeps an object for its finalizers, lets none be added, and ends it with the last', async () => {
      const of = h.of('configmaps');
      await of.create(configMap('held', { metadata: { finalizers: ['example.com/a'] } }));
      await of.delete('default', 'held', {});
      const held = await of.get('default', 'held');
      assert.ok(held.metadata.deletionTimestamp);
      assert.equal(held.metadata.deletionGracePeriodSeconds, 0);
      await assert.rejects(
        of.patch(
          'default',
          'held',
          { metadata: { finalizers: ['example.com/a', 'example.com/b'] } },
          { type: 'merge' },
        ),
        (error: any) => error.code === 422 && /no new finalizers can be added/.test(error.message),
      );
      await assert.rejects(
        of.create(configMap('held')),
        refused(409, 'AlreadyExists', 'object is being deleted: configmaps "held" already exists'),
      );
      await of.patch('default', 'held', { metadata: { finalizers: null } }, { type: 'merge' });
      await assert.rejects(of.get('default', 'held'), (error: any) => error.code === 404);
    });

    it('turns propagation policies into finalizers', async () => {
      const of = h.of('configmaps');
      for (const [policy, finalizer] of [
        ['Foreground', 'foregroundDeletion'],
        ['Orphan', 'orphan'],
      ] as const) {
        await of.create(configMap(policy.toLowerCase()));
        await of.delete('default', policy.toLowerCase(), { propagationPolicy: policy });
        assert.deepEqual((await of.get('default', policy.toLowerCase())).metadata.finalizers, [finalizer]);
      }
    });

    it('leaves the dependents of Jobs and ReplicationControllers unless the client says otherwise', async () => {
      const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } };
      const of = h.of('jobs');
      for (const name of ['left', 'taken'])
        await of.create({
          apiVersion: 'batch/v1',
          kind: 'Job',
          metadata: { name, namespace: 'default' },
          spec: { template },
        });
      await of.delete('default', 'left');
      assert.deepEqual((await of.get('default', 'left')).metadata.finalizers, ['orphan']);
      await of.delete('default', 'taken', { propagationPolicy: 'Background' });
      await assert.rejects(of.get('default', 'taken'), (error: any) => error.code === 404);
    });

    it('refuses a propagation policy that there is not', async () => {
      await h.of('configmaps').create(configMap('stays'));
      const of = h.of('configmaps');
      await assert.rejects(
        of.delete('default', 'stays', { propagationPolicy: 'Sideways' as 'Orphan' }),
        refused(
          422,
          'Invalid',
          'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"',
        ),
      );
      await of.get('default', 'stays');
    });

    it('honours preconditions', async () => {
      const made = await h.of('configmaps').create(configMap('sure'));
      await assert.rejects(
        h.of('configmaps').delete('default', 'sure', { preconditions: { uid: 'x' } }),
        refused(
          409,
          'Conflict',
          `Operation cannot be fulfilled on ConfigMap "sure": the UID in the precondition (x) does not match the UID in record (${made.metadata.uid}). The object might have been deleted and then recreated`,
        ),
      );
    });

    it('gives a pod on a node its grace, which a second delete can only shorten', async () => {
      const of = h.of('pods');
      await of.create(pod('graceful', { nodeName: 'n1' }));
      await of.delete('default', 'graceful', {});
      const first = await of.get('default', 'graceful');
      assert.equal(first.metadata.deletionGracePeriodSeconds, 30);
      await of.delete('default', 'graceful', { gracePeriodSeconds: 60 });
      assert.equal(
        (await of.get('default', 'graceful')).metadata.deletionTimestamp,
        first.metadata.deletionTimestamp,
      );
      await of.delete('default', 'graceful', { gracePeriodSeconds: 5 });
      const second = await of.get('default', 'graceful');
      assert.equal(second.metadata.deletionGracePeriodSeconds, 5);
      assert.equal(
        Date.parse(first.metadata.deletionTimestamp) - Date.parse(second.metadata.deletionTimestamp),
        25_000,
      );
      await of.delete('default', 'graceful', { gracePeriodSeconds: 0 });
      await assert.rejects(of.get('default', 'graceful'), (error: any) => error.code === 404);
    });

    it('removes a pod that no node has at once', async () => {
      await h.of('pods').create(pod('unscheduled'));
      await h.of('pods').delete('default', 'unscheduled', {});
      await assert.rejects(h.of('pods').get('default', 'unscheduled'), (error: any) => error.code === 404);
    });

    it('deletes a collection by selector', async () => {
      const of = h.of('configmaps');
      for (const name of ['c1', 'c2'])
        await of.create(configMap(name, { metadata: { labels: { sweep: 'yes' } } }));
      await of.create(configMap('c3'));
      await of.deleteCollection({ namespace: 'default', labelSelector: 'sweep=yes' });
      const left = (await of.list({ namespace: 'default' })).items.map((o: any) => o.metadata.name);
      assert.ok(left.includes('c3') && !left.includes('c1') && !left.includes('c2'));
    });
  });

  describe('namespaces', () => {
    it('are there from the start, and the cluster keeps its own', async () => {
      const names = (await h.of('namespaces').list()).items.map((o: any) => o.metadata.name);
      assert.deepEqual(names, ['default', 'kube-node-lease', 'kube-public', 'kube-system']);
      await assert.rejects(
        h.of('namespaces').delete('', 'kube-system', {}),
        refused(403, 'Forbidden', 'namespaces "kube-system" is forbidden: this namespace may not be deleted'),
      );
    });

    it('end by the finalize subresource, and take nothing new meanwhile', async () => {
      const of = h.of('namespaces');
      await of.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ending' } });
      await of.delete('', 'ending', {});
      const ending = await of.get('', 'ending');
      assert.equal(ending.status.phase, 'Terminating');
      await assert.rejects(
        h.of('configmaps').create(configMap('late', { metadata: { namespace: 'ending' } })),
        (error: any) => {
          assert.equal(
            error.message,
            'configmaps "late" is forbidden: unable to create new content in namespace ending because it is being terminated',
          );
          assert.equal(error.details.causes[0].reason, 'NamespaceTerminating');
          return true;
        },
      );
      await h.server.transport(ADMIN).request({
        method: 'PUT',
        path: '/api/v1/namespaces/ending/finalize',
        body: { ...ending, spec: { finalizers: [] } },
      });
      await assert.rejects(of.get('', 'ending'), (error: any) => error.code === 404);
    });
  });

  describe('lists', () => {
    before(async () => {
      await h.of('namespaces').create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'paged' } });
      for (const name of ['a', 'b', 'c', 'd', 'e'])
        await h.of('configmaps').create(
          configMap(name, {
            metadata: { namespace: 'paged', labels: { odd: String('ace'.includes(name)) } },
          }),
        );
    });

    it('come in pages of one snapshot', async () => {
      const of = h.of('configmaps');
      const first = await of.list({ namespace: 'paged', limit: 2 });
      assert.equal(first.metadata.remainingItemCount, 3);
      await of.create(configMap('aa', { metadata: { namespace: 'paged' } }));
      await of.delete('paged', 'e', {});
      const names = first.items.map((o: any) => o.metadata.name);
      let next = first.metadata.continue;
      while (next) {
        const page: any = await of.list({ namespace: 'paged', limit: 2, continue: next });
        assert.equal(page.metadata.resourceVersion, first.metadata.resourceVersion);
        names.push(...page.items.map((o: any) => o.metadata.name));
        next = page.metadata.continue;
      }
      assert.deepEqual(names, ['a', 'b', 'c', 'd', 'e']);
    });

    it('filter by labels and fields', async () => {
      const of = h.of('configmaps');
      const odd = await of.list({ namespace: 'paged', labelSelector: 'odd=true', limit: 1 });
      assert.deepEqual(
        odd.items.map((o: any) => o.metadata.name),
        ['a'],
      );
      assert.ok(odd.metadata.continue);
      assert.equal(odd.metadata.remainingItemCount, undefined);
      const one = await of.list({ namespace: 'paged', fieldSelector: 'metadata.name=b' });
      assert.deepEqual(
        one.items.map((o: any) => o.metadata.name),
        ['b'],
      );
      await assert.rejects(
        of.list({ fieldSelector: 'spec.x=1' }),
        refused(
          400,
          'BadRequest',
          '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
      );
      await assert.rejects(
        h.of('pods').list({ fieldSelector: 'spec.x=1' }),
        refused(400, 'BadRequest', 'field label not supported: spec.x'),
      );
    });

    it('tell of a revision that is not there yet and of a broken token', async () => {
      await assert.rejects(
        h.of('configmaps').list({ resourceVersion: '99999999' }),
        refused(504, 'Timeout', /^Timeout: Too large resource version: 99999999, current: \d+$/),
      );
      await assert.rejects(
        h.of('configmaps').list({ continue: 'nonsense' }),
        (error: any) => error.code === 400,
      );
    });
  });
});
