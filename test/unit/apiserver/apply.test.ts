/** managedFields and server-side apply by requests. */
import assert from 'node:assert/strict';
import { ApiServer } from '../../../src/apiserver/server.js';
import { Client } from '../../../src/client/client.js';
import type { Request } from '../../../src/client/transport.js';
import { ADMIN, configMap, type Harness, quiet, startHarness } from './harness.js';

const refused = (code: number, message: string | RegExp) => (error: any) => {
  assert.equal(error.code, code, error.message);
  if (typeof message === 'string') assert.equal(error.message, message);
  else assert.match(error.message, message);
  return true;
};

const deployment = (name: string, spec: object = {}): any => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'default' },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'x' }] } },
    ...spec,
  },
});

const owners = (object: any): Record<string, any> =>
  Object.fromEntries(
    (object.metadata.managedFields ?? []).map((e: any) => [
      [e.manager, e.operation, e.subresource].filter(Boolean).join(' '),
      e.fieldsV1,
    ]),
  );

describe('apiserver: managedFields', () => {
  let h: Harness;
  before(async () => {
    h = await startHarness();
  });
  after(() => h.close());

  const send = (request: Partial<Request>, user = ADMIN): Promise<any> =>
    h.server.transport(user).request(request as Request);
  const path = (name: string) => `/api/v1/namespaces/default/configmaps/${name}`;

  it('name the writer by the fieldManager parameter, else by the first word of the User-Agent', async () => {
    const table: [Partial<Request>, string][] = [
      [{ query: { fieldManager: 'me' } }, 'me'],
      [{ headers: { 'user-agent': 'kubectl/v1.36.0 (linux/amd64) kubernetes/abc' } }, 'kubectl'],
      [{ headers: { 'user-agent': 'a b\u0007c/x' } }, 'a bc'],
      [{ headers: { 'user-agent': `${'é'.repeat(70)}/1` } }, 'é'.repeat(64)],
      [{ headers: { 'user-agent': '/x' } }, 'unknown'],
      [{}, 'keelson'],
    ];
    for (const [i, [extra, name]] of table.entries()) {
      const body = configMap(`writer-${i}`);
      const made = await send({ method: 'POST', path: path(''), body, ...extra });
      assert.deepEqual(Object.keys(owners(made)), [`${name} Update`]);
    }
  });

  it('name the components as upstream does', async () => {
    const table: [string, string][] = [
      ['system:node:n', 'kubelet'],
      ['system:kube-scheduler', 'kube-scheduler'],
      ['system:serviceaccount:kube-system:deployment-controller', 'kube-controller-manager'],
      ['system:apiserver', 'kube-apiserver'],
    ];
    for (const [i, [name, manager]] of table.entries()) {
      const user = { name, groups: ['system:masters'] };
      const made = await h
        .as(user)
        .of(h.of('configmaps').resource)
        .create(configMap(`component-${i}`));
      assert.deepEqual(Object.keys(owners(made)), [`${manager} Update`]);
    }
    const namespace = await h.of('namespaces').get('', 'kube-system');
    assert.ok('kube-apiserver Update' in owners(namespace));
  });

  it('refuse names that are too long or not printable', async () => {
    const create = (fieldManager: string) =>
      send({ method: 'POST', path: path(''), body: configMap('named'), query: { fieldManager } });
    await assert.rejects(
      create('x'.repeat(129)),
      refused(
        422,
        'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
      ),
    );
    await assert.rejects(create('a\nb'), refused(422, /invalid character U\+000A \(at position 1\)/));
  });

  it('follow updates, patches and statuses; defaults belong to the creator, what the server adds to nobody', async () => {
    const api = h.of('deployments');
    const made = await api.create(deployment('web'), { fieldManager: 'maker' });
    assert.deepEqual(owners(made), {
      'maker Update': {
        'f:spec': {
          'f:progressDeadlineSeconds': {},
          'f:replicas': {},
          'f:revisionHistoryLimit': {},
          'f:selector': {},
          'f:strategy': {
            'f:rollingUpdate': { '.': {}, 'f:maxSurge': {}, 'f:maxUnavailable': {} },
            'f:type': {},
          },
          'f:template': {
            'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
            'f:spec': {
              'f:containers': {
                'k:{"name":"c"}': {
                  '.': {},
                  'f:image': {},
                  'f:imagePullPolicy': {},
                  'f:name': {},
                  'f:resources': {},
                  'f:terminationMessagePath': {},
                  'f:terminationMessagePolicy': {},
                },
              },
              'f:dnsPolicy': {},
              'f:restartPolicy': {},
              'f:schedulerName': {},
              'f:securityContext': {},
              'f:terminationGracePeriodSeconds': {},
            },
          },
        },
      },
    });
    const put = { ...made, spec: { ...made.spec, replicas: 4 } };
    await api.update(put, { fieldManager: 'putter' });
    await api.patch('default', 'web', { spec: { paused: true } }, { type: 'merge', fieldManager: 'patcher' });
    const last = await api.patch(
      'default',
      'web',
      { status: { replicas: 1 }, spec: { replicas: 9 } },
      { type: 'merge', fieldManager: 'controller', subresource: 'status' },
    );
    const { 'maker Update': _, ...others } = owners(last);
    assert.deepEqual(others, {
      'putter Update': { 'f:spec': { 'f:replicas': {} } },
      'patcher Update': { 'f:spec': { 'f:paused': {} } },
      'controller Update status': { 'f:status': { 'f:replicas': {} } },
    });
    assert.equal(last.spec.replicas, 4);
  });

  it('do not come before validation', async () => {
    const broken = deployment('broken');
    broken.spec.template.spec.containers = [{ image: 'x' }];
    await assert.rejects(
      h.of('deployments').create(broken),
      refused(422, /spec\.template\.spec\.containers\[0\]\.name: Required value/),
    );
  });

  it('make no new version where only their times would change', async () => {
    const api = h.of('configmaps');
    const made = await api.create(configMap('still'), { fieldManager: 'one' });
    const put = { ...made, metadata: { name: 'still', namespace: 'default' } };
    const again = await api.update(put, { fieldManager: 'one' });
    assert.equal(again.metadata.resourceVersion, made.metadata.resourceVersion);
  });

  it('can be changed and reset by patches', async () => {
    const api = h.of('configmaps');
    await api.create(configMap('reset'), { fieldManager: 'one' });
    const renamed = await api.patch(
      'default',
      'reset',
      [{ op: 'replace', path: '/metadata/managedFields/0/manager', value: 'two' }],
      { type: 'json' },
    );
    assert.deepEqual(Object.keys(owners(renamed)), ['two Update']);
    const reset = await api.patch(
      'default',
      'reset',
      { metadata: { managedFields: [{}] } },
      { type: 'merge' },
    );
    assert.equal(reset.metadata.managedFields, undefined);
    const changed = await api.patch('default', 'reset', { data: { z: '1' } }, { type: 'merge' });
    assert.equal(changed.metadata.managedFields, undefined);
  });

  it('follow the replicas through the scale subresource', async () => {
    const api = h.of('deployments');
    await api.create(deployment('scaled', { replicas: 1 }), { fieldManager: 'maker' });
    const body = { spec: { replicas: 3 } };
    await api.patch('default', 'scaled', body, {
      type: 'merge',
      subresource: 'scale',
      fieldManager: 'scaler',
    });
    const scaled = owners(await api.get('default', 'scaled'));
    assert.deepEqual(scaled['scaler Update scale'], { 'f:spec': { 'f:replicas': {} } });
    assert.equal(scaled['maker Update']['f:spec']['f:replicas'], undefined);
    const scale = {
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name: 'scaled' },
      spec: { replicas: 4 },
    };
    await assert.rejects(
      api.patch('default', 'scaled', scale, { type: 'apply', subresource: 'scale', fieldManager: 'a' }),
      refused(
        409,
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using autoscaling/v1: .spec.replicas',
      ),
    );
    const applied = await api.patch('default', 'scaled', scale, {
      type: 'apply',
      subresource: 'scale',
      fieldManager: 'a',
      force: true,
    });
    assert.equal((applied as any).spec.replicas, 4);
    assert.equal(applied.metadata.managedFields, undefined);
    const after = await api.get('default', 'scaled');
    assert.equal(after.spec.replicas, 4);
    assert.deepEqual(owners(after)['a Apply scale'], { 'f:spec': { 'f:replicas': {} } });
    assert.equal(owners(after)['scaler Update scale'], undefined);
  });
});

describe('apiserver: server-side apply', () => {
  let h: Harness;
  before(async () => {
    h = await startHarness();
  });
  after(() => h.close());

  const apply = (
    name: string,
    body: unknown,
    query: Record<string, string> = { fieldManager: 'me' },
    user = ADMIN,
  ) =>
    h.server.transport(user).request<any>({
      method: 'PATCH',
      path: `/api/v1/namespaces/default/configmaps/${name}`,
      query,
      headers: { 'content-type': 'application/apply-patch+yaml' },
      body,
    });

  it('creates what is missing, changes what is there, and removes what is given up', async () => {
    const api = h.of('configmaps');
    const made = await api.patch('default', 'a', configMap('a'), { type: 'apply', fieldManager: 'me' });
    assert.match(made.metadata.uid ?? '', /-/);
    const changed = await api.patch('default', 'a', configMap('a', { data: { b: '2' } }), {
      type: 'apply',
      fieldManager: 'me',
    });
    assert.deepEqual(changed['data'], { b: '2' });
    assert.equal(changed.metadata.uid, made.metadata.uid);
    const again = await api.patch('default', 'a', configMap('a', { data: { b: '2' } }), {
      type: 'apply',
      fieldManager: 'me',
    });
    assert.equal(again.metadata.resourceVersion, changed.metadata.resourceVersion);
  });

  it('gives defaults to nobody, and takes them back for what is given up', async () => {
    const api = h.of('deployments');
    await api.patch('default', 'd', deployment('d', { replicas: 5 }), { type: 'apply', fieldManager: 'me' });
    const { spec, metadata } = await api.patch('default', 'd', deployment('d'), {
      type: 'apply',
      fieldManager: 'me',
    });
    assert.equal(spec.replicas, 1);
    assert.equal(metadata.generation, 2);
    assert.deepEqual(Object.keys(owners({ metadata })['me Apply']['f:spec']), ['f:selector', 'f:template']);
  });

  it('keeps track of owners when nothing else changes', async () => {
    const api = h.of('configmaps');
    const put = (fieldManager: string, data: object) =>
      api.patch('default', 'track', configMap('track', { data }), { type: 'apply', fieldManager });
    await put('one', { a: '1', b: '1' });
    await put('two', { a: '1' });
    await put('one', { b: '1' });
    assert.deepEqual(owners(await put('two', { a: '2' })), {
      'one Apply': { 'f:data': { 'f:b': {} } },
      'two Apply': { 'f:data': { 'f:a': {} } },
    });
  });

  it('sees no change in other ways to write a quantity', async () => {
    const api = h.of('deployments');
    const config = (cpu: string) => {
      const made = deployment('q');
      made.spec.template.spec.containers[0].resources = { limits: { cpu } };
      return made;
    };
    const first = await api.patch('default', 'q', config('500m'), { type: 'apply', fieldManager: 'me' });
    const second = await api.patch('default', 'q', config('0.5'), { type: 'apply', fieldManager: 'me' });
    assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
  });

  it('needs a field manager; other patches can not be forced', async () => {
    await assert.rejects(
      apply('n', configMap('n'), {}),
      refused(
        422,
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      ),
    );
    await h.of('configmaps').create(configMap('forced'));
    await assert.rejects(
      h.of('configmaps').patch('default', 'forced', {}, { type: 'merge', force: true }),
      refused(
        422,
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
      ),
    );
  });

  it('refuses a name, version or uid that does not fit', async () => {
    const api = h.of('configmaps');
    const { metadata } = await api.create(configMap('fits'));
    const table: [string, any, number, string | RegExp][] = [
      [
        'fits',
        configMap('other'),
        400,
        'the name of the object (other) does not match the name on the URL (fits)',
      ],
      ['fits', { ...configMap('fits'), kind: 'Secret' }, 400, 'invalid object type: /v1, Kind=Secret'],
      [
        'fits',
        { ...configMap('fits'), metadata: { name: 'fits', resourceVersion: '1' } },
        409,
        /the object has been modified/,
      ],
      [
        'fits',
        { ...configMap('fits'), metadata: { name: 'fits', uid: 'x' } },
        409,
        /Precondition failed: UID in precondition: x/,
      ],
      [
        'missing',
        { ...configMap('missing'), metadata: { name: 'missing', uid: 'x' } },
        409,
        'Operation cannot be fulfilled on configmaps "missing": uid mismatch: the provided object specified uid x, and no existing object was found',
      ],
      ['fits', [1], 400, /^error decoding YAML/],
      [
        'fits',
        { ...configMap('fits'), metadata: { name: 'fits', managedFields: [] } },
        400,
        'metadata.managedFields must be nil',
      ],
      [
        'fits',
        { ...configMap('fits'), x: 1 },
        500,
        'failed to create typed patch object (default/fits; /v1, Kind=ConfigMap): .x: field not declared in schema',
      ],
    ];
    for (const [name, body, code, message] of table)
      await assert.rejects(apply(name, body), refused(code, message));
    const same = { name: 'fits', resourceVersion: metadata.resourceVersion, uid: metadata.uid };
    assert.ok(
      await apply('fits', { ...configMap('fits'), metadata: same }, { fieldManager: 'me', force: 'true' }),
    );
  });

  it('only tries in a dry run', async () => {
    const made = await apply('dry', configMap('dry'), { fieldManager: 'me', dryRun: 'All' });
    assert.equal(made.metadata.name, 'dry');
    await assert.rejects(h.of('configmaps').get('default', 'dry'), refused(404, /not found/));
    await apply('dry', configMap('dry'));
    const tried = await apply('dry', configMap('dry', { data: { z: '1' } }), {
      fieldManager: 'me',
      dryRun: 'All',
    });
    assert.deepEqual(tried.data, { z: '1' });
    assert.deepEqual((await h.of('configmaps').get('default', 'dry'))['data'], { a: '1' });
  });

  it('creates nothing as a status', async () => {
    await assert.rejects(
      h.of('deployments').patch('default', 'none', deployment('none'), {
        type: 'apply',
        fieldManager: 'me',
        subresource: 'status',
      }),
      refused(404, 'deployments.apps "none" not found'),
    );
  });

  it('sets a status field by field', async () => {
    const api = h.of('deployments');
    await api.create(deployment('st'), { fieldManager: 'maker' });
    const config = (type: string) => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'st' },
      status: {
        conditions: [
          {
            type,
            status: 'True',
            lastTransitionTime: '2026-01-01T00:00:00Z',
            lastUpdateTime: '2026-01-01T00:00:00Z',
          },
        ],
      },
    });
    await api.patch('default', 'st', config('A'), {
      type: 'apply',
      fieldManager: 'one',
      subresource: 'status',
    });
    const both = await api.patch('default', 'st', config('B'), {
      type: 'apply',
      fieldManager: 'two',
      subresource: 'status',
    });
    assert.deepEqual(
      both.status.conditions.map((c: any) => c.type),
      ['A', 'B'],
    );
    assert.ok('one Apply status' in owners(both) && 'two Apply status' in owners(both));
  });

  it('lets many create one object at once: all win', async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        apply('race', configMap('race', { data: { [`k${i}`]: '1' } }), { fieldManager: `m${i}` }),
      ),
    );
    assert.equal(new Set(all.map((o) => o.metadata.uid)).size, 1);
    const { data } = await h.of('configmaps').get('default', 'race');
    assert.equal(Object.keys(data).length, 8);
  });

  it('needs the right to create for what is missing, and only for that', async () => {
    const server = new ApiServer({
      store: h.store,
      ...h.auth,
      authorizer: {
        authorize: async ({ verb }) => ({ decision: verb === 'create' ? 'deny' : 'allow', reason: '' }),
      },
      serviceCidr: '10.96.0.0/24',
      clusterName: 'test',
      version: '0.0.0',
      logger: quiet,
    });
    const api = new Client(server.transport({ name: 'patcher', groups: [] })).of(h.of('configmaps').resource);
    const put = (name: string) =>
      api.patch('default', name, configMap(name), { type: 'apply', fieldManager: 'me' });
    await assert.rejects(
      put('forbidden'),
      refused(
        403,
        'configmaps "forbidden" is forbidden: User "patcher" cannot create resource "configmaps" in API group "" in the namespace "default"',
      ),
    );
    await h.of('configmaps').create(configMap('allowed'));
    assert.equal((await put('allowed')).metadata.name, 'allowed');
    await server.close();
  });
});
