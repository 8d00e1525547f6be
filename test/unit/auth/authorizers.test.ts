import assert from 'node:assert/strict';
import { referencesOf } from '../../../src/auth/authorizers/pod-references.js';
import type { Attributes, User } from '../../../src/auth/user.js';
import { configMap, type Harness, pod, startHarness } from '../apiserver/harness.js';

const NODE: User = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
const ask = (user: User, verb: string, resource: string, more: Partial<Attributes> = {}): Attributes => {
  const [plural = '', subresource = ''] = resource.split('/');
  return {
    user,
    verb,
    isResource: true,
    group: '',
    version: 'v1',
    resource: plural,
    subresource,
    namespace: 'default',
    name: '',
    path: '',
    ...more,
  };
};
const path = (user: User, text: string, verb = 'get'): Attributes => ({
  ...ask(user, verb, ''),
  isResource: false,
  path: text,
});

describe('auth: the default policy', () => {
  let h: Harness;
  before(async () => {
    h = await startHarness();
  });
  after(() => h.close());
  const allowed = async (a: Attributes) => (await h.auth.authorizer.authorize(a)).decision === 'allow';
  const user = (name: string, ...groups: string[]): User => ({
    name,
    groups: [...groups, 'system:authenticated'],
  });
  const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
  const controller = (name: string) =>
    user(`system:serviceaccount:kube-system:${name}`, 'system:serviceaccounts');

  for (const [expected, a, title] of [
    [true, ask(user('a', 'system:masters'), 'delete', 'nodes'), 'masters everything'],
    [false, ask(user('a'), 'list', 'pods'), 'others nothing'],
    [true, path(user('a'), '/apis/apps/v1'), 'authenticated users discovery'],
    [false, path(user('a'), '/metrics'), 'but not metrics'],
    [true, path(anonymous, '/livez'), 'anonymous health'],
    [false, path(anonymous, '/livez/etcd'), 'but not its checks'],
    [false, path(anonymous, '/api'), 'nor discovery'],
    [true, ask(controller('replicaset-controller'), 'create', 'pods'), 'replicaset-controller makes pods'],
    [false, ask(controller('replicaset-controller'), 'delete', 'nodes'), 'but deletes no nodes'],
    [true, ask(controller('replicaset-controller'), 'create', 'events'), 'and tells events'],
    [
      false,
      ask(user('system:serviceaccount:default:replicaset-controller'), 'create', 'pods'),
      'an account of the name elsewhere does not',
    ],
    [true, ask(user('system:kube-scheduler'), 'create', 'pods/binding'), 'the scheduler binds'],
    [false, ask(user('system:kube-scheduler'), 'create', 'pods'), 'but makes no pods'],
    [
      true,
      ask(controller('namespace-controller'), 'deletecollection', 'secrets'),
      'namespace-controller empties',
    ],
  ] as const)
    it(`${title}: ${expected}`, async () => assert.equal(await allowed(a), expected));
});

const DEVICES = 'resource.k8s.io';

describe('auth: nodes', () => {
  let h: Harness;
  before(async () => {
    h = await startHarness();
    for (const name of ['mine', 'other']) await h.of('configmaps').create(configMap(name));
    const volumes = [{ name: 'v', configMap: { name: 'mine' } }];
    const resourceClaims = [{ name: 'device', resourceClaimName: 'mine' }];
    await h.of('pods').create(pod('p1', { nodeName: 'n1', volumes, resourceClaims }));
    await h
      .of('pods')
      .create(pod('p2', { nodeName: 'n2', volumes: [{ name: 'v', configMap: { name: 'other' } }] }));
  });
  after(() => h.close());
  const allowed = async (a: Attributes) => (await h.auth.authorizer.authorize(a)).decision === 'allow';

  for (const [expected, a, title] of [
    [true, ask(NODE, 'patch', 'nodes/status', { namespace: '', name: 'n1' }), 'patches its own status'],
    [false, ask(NODE, 'patch', 'nodes/status', { namespace: '', name: 'n2' }), "patches another's status"],
    [
      true,
      ask(NODE, 'watch', 'pods', { namespace: '', fieldSelector: 'spec.nodeName=n1' }),
      'watches its pods',
    ],
    [false, ask(NODE, 'watch', 'pods', { namespace: '' }), 'watches all pods'],
    [
      false,
      ask(NODE, 'list', 'pods', { namespace: '', fieldSelector: 'spec.nodeName!=n1' }),
      'lists others by a trick',
    ],
    [true, ask(NODE, 'get', 'configmaps', { name: 'mine' }), 'reads what its pod refers to'],
    [false, ask(NODE, 'get', 'configmaps', { name: 'other' }), "reads what another's pod refers to"],
    [false, ask(NODE, 'list', 'configmaps'), 'lists configmaps'],
    [true, ask(NODE, 'update', 'pods/status', { name: 'p1' }), 'updates the status of its pod'],
    [false, ask(NODE, 'update', 'pods/status', { name: 'p2' }), "updates the status of another's pod"],
    [true, ask(NODE, 'create', 'serviceaccounts/token', { name: 'default' }), 'asks for tokens of its pods'],
    [false, ask(NODE, 'create', 'serviceaccounts/token', { name: 'robot' }), 'asks for tokens of others'],
    [
      true,
      ask(NODE, 'update', 'leases', {
        group: 'coordination.k8s.io',
        namespace: 'kube-node-lease',
        name: 'n1',
      }),
      'renews its lease',
    ],
    [
      false,
      ask(NODE, 'update', 'leases', {
        group: 'coordination.k8s.io',
        namespace: 'kube-node-lease',
        name: 'n2',
      }),
      "renews another's lease",
    ],
    [true, ask(NODE, 'get', 'resourceclaims', { group: DEVICES, name: 'mine' }), "reads its pod's claim"],
    [false, ask(NODE, 'get', 'resourceclaims', { group: DEVICES, name: 'other' }), "reads another's claim"],
    [
      true,
      ask(NODE, 'deletecollection', 'resourceslices', {
        ...{ group: DEVICES, namespace: '', fieldSelector: 'spec.nodeName=n1,spec.driver=d' },
      }),
      'deletes its slices',
    ],
    [
      false,
      ask(NODE, 'deletecollection', 'resourceslices', { group: DEVICES, namespace: '' }),
      'deletes all slices',
    ],
    [false, ask(NODE, 'create', 'deployments', { group: 'apps' }), 'makes deployments'],
    [false, ask({ ...NODE, groups: [] }, 'get', 'configmaps', { name: 'mine' }), 'counts without its group'],
  ] as const)
    it(`${title}: ${expected}`, async () => assert.equal(await allowed(a), expected));

  it('reads what a pod refers to as soon as the pod is bound', async () => {
    await h.of('configmaps').create(configMap('late'));
    assert.equal(await allowed(ask(NODE, 'get', 'configmaps', { name: 'late' })), false);
    await h
      .of('pods')
      .create(pod('p3', { nodeName: 'n1', volumes: [{ name: 'v', configMap: { name: 'late' } }] }));
    assert.equal(await allowed(ask(NODE, 'get', 'configmaps', { name: 'late' })), true);
  });

  it('is held to its own objects by admission as well', async () => {
    const node = h.as(NODE);
    const nodes = node.of<any>({ ...(h.of('nodes') as any).resource });
    const object = (name: string, labels = {}) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels },
    });
    await assert.rejects(nodes.create(object('n2')), /node "n1" is not allowed to modify node "n2"/);
    await assert.rejects(
      nodes.create(object('n1', { 'node-restriction.kubernetes.io/trusted': 'yes' })),
      /is not allowed to modify labels: node-restriction.kubernetes.io\/trusted/,
    );
    const made = await nodes.create(object('n1'));
    assert.deepEqual(made.spec.taints, [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
    await assert.rejects(
      nodes.patch('', 'n1', { spec: { taints: null } }, { type: 'merge' }),
      /is not allowed to modify taints/,
    );
    const pods = node.of<any>({ ...(h.of('pods') as any).resource });
    await assert.rejects(pods.create(pod('own', { nodeName: 'n1' })), /can only create mirror pods/);
    await assert.rejects(
      pods.get('default', 'p2'),
      (error: any) =>
        error.code === 403 &&
        error.message ===
          `pods "p2" is forbidden: User "system:node:n1" cannot get resource "pods" in API group "" in the namespace "default": no relationship found between node 'n1' and this object`,
    );
  });
});

describe('auth: what a pod refers to', () => {
  it('is found in every place', () => {
    const references = referencesOf({
      metadata: { name: 'p', namespace: 'n' },
      spec: {
        serviceAccountName: 'sa',
        resourceClaims: [{ name: 'x', resourceClaimName: 'device' }],
        imagePullSecrets: [{ name: 'pull' }],
        initContainers: [{ name: 'i', envFrom: [{ secretRef: { name: 'envfrom' } }] }],
        containers: [
          { name: 'c', env: [{ name: 'E', valueFrom: { configMapKeyRef: { name: 'env', key: 'k' } } }] },
        ],
        volumes: [
          { name: 'a', secret: { secretName: 'vol' } },
          { name: 'b', persistentVolumeClaim: { claimName: 'claim' } },
          { name: 'd', projected: { sources: [{ configMap: { name: 'projected' } }] } },
        ],
      },
    } as any);
    assert.deepEqual([...references].sort(), [
      'configmaps/n/env',
      'configmaps/n/projected',
      'persistentvolumeclaims/n/claim',
      'resourceclaims/n/device',
      'secrets/n/envfrom',
      'secrets/n/pull',
      'secrets/n/vol',
      'serviceaccounts/n/sa',
    ]);
  });
});
