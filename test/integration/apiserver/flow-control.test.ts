import assert from 'node:assert/strict';
import { eventually } from '../../fixtures/cluster.js';
import { startServer, type TestServer } from './server.js';

const JSON_BODY = { 'content-type': 'application/json' };
const MERGE = { 'content-type': 'application/merge-patch+json' };
const AT = '/apis/flowcontrol.apiserver.k8s.io/v1';

describe('API priority and fairness', function () {
  this.timeout(30_000);
  let api: TestServer;
  before(async () => {
    api = await startServer();
  });
  after(() => api?.close());

  const get = async (path: string) => (await api.http('GET', path)).json;
  const create = async (path: string, object: object) => {
    const { code, json, text } = await api.http('POST', path, {
      headers: JSON_BODY,
      body: JSON.stringify(object),
    });
    assert.equal(code, 201, text);
    return json;
  };
  const as = (user: string, path: string) => api.http('GET', path, { headers: { 'impersonate-user': user } });

  it('has upstream’s default objects', async () => {
    const { stdout } = await api.kubectl('get flowschemas');
    for (const line of [
      /^exempt +exempt +1 +<none> +\S+ +False$/m,
      /^probes +exempt +2 +<none>/m,
      /^system-leader-election +leader-election +100 +ByUser/m,
      /^system-node-high +node-high +400 +ByUser/m,
      /^kube-system-service-accounts +workload-high +900 +ByNamespace/m,
      /^global-default +global-default +9900 +ByUser/m,
      /^catch-all +catch-all +10000 +ByUser/m,
    ])
      assert.match(stdout, line);
    const precedences = [...stdout.matchAll(/^\S+ +\S+ +(\d+)/gm)].map(([, precedence]) =>
      Number(precedence),
    );
    assert.deepEqual(
      precedences,
      precedences.toSorted((a, b) => a - b),
    );
  });

  it('keeps what is mandatory, and what nobody has taken over', async () => {
    await api.http('DELETE', `${AT}/prioritylevelconfigurations/system`);
    await eventually(
      'the level again',
      async () => (await get(`${AT}/prioritylevelconfigurations/system`)).spec,
    );
    const shares = (name: string, nominalConcurrencyShares: number, annotations = {}) =>
      api.http('PATCH', `${AT}/prioritylevelconfigurations/${name}`, {
        headers: MERGE,
        body: JSON.stringify({ metadata: { annotations }, spec: { limited: { nominalConcurrencyShares } } }),
      });
    const now = async (name: string) =>
      (await get(`${AT}/prioritylevelconfigurations/${name}`)).spec.limited.nominalConcurrencyShares;
    await shares('catch-all', 7);
    await eventually('the mandatory level as it was', async () => (await now('catch-all')) === 5);
    await shares('workload-low', 7, { 'apf.kubernetes.io/autoupdate-spec': 'false' });
    await shares('workload-high', 7);
    await eventually('the suggested level as it was', async () => (await now('workload-high')) === 40);
    assert.equal(await now('workload-low'), 7);
  });

  it('classifies by what users add, and tells so', async () => {
    const level = await create(`${AT}/prioritylevelconfigurations`, {
      metadata: { name: 'few' },
      spec: {
        type: 'Limited',
        limited: { nominalConcurrencyShares: 1, borrowingLimitPercent: 0, limitResponse: { type: 'Reject' } },
      },
    });
    const flow = await create(`${AT}/flowschemas`, {
      metadata: { name: 'noxu' },
      spec: {
        matchingPrecedence: 1000,
        priorityLevelConfiguration: { name: 'few' },
        rules: [
          {
            subjects: [{ kind: 'User', user: { name: 'noxu' } }],
            resourceRules: [
              { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true },
            ],
            nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
          },
        ],
      },
    });
    await eventually('the condition', async () => {
      const { status } = await get(`${AT}/flowschemas/noxu`);
      const dangling = status.conditions?.find((c: any) => c.type === 'Dangling');
      return dangling?.status === 'False' && dangling.reason === 'Found';
    });
    const { headers } = await as('noxu', '/version');
    assert.equal(headers['x-kubernetes-pf-flowschema-uid'], flow.metadata.uid);
    assert.equal(headers['x-kubernetes-pf-prioritylevel-uid'], level.metadata.uid);
    const other = (await as('foo', '/version')).headers['x-kubernetes-pf-flowschema-uid'];
    assert.equal(other, (await get(`${AT}/flowschemas/global-default`)).metadata.uid);
  });

  it('turns away what is over the limit, and nobody else', async () => {
    await create('/api/v1/nodes', { metadata: { name: 'n' } });
    await create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'all' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: ['noxu', 'foo'].map((name) => ({
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'User',
        name,
      })),
    });
    // Takes a second, as usage is measured over that long.
    const slow = '/apis/metrics.k8s.io/v1beta1/nodes';
    const replies = await Promise.all([...Array(8)].map(() => as('noxu', slow)));
    const refused = replies.filter(({ code }) => code === 429);
    // One share of 153 of 600 seats: workload-low has 7 by now.
    assert.equal(replies.length - refused.length, 4);
    assert.equal(refused[0]!.text, 'Too many requests, please try again later.\n');
    assert.equal(refused[0]!.headers['retry-after'], '1');
    assert.equal((await as('foo', '/version')).code, 200);
    assert.equal((await as('noxu', '/version')).code, 200);
    const { text } = await api.http('GET', '/metrics');
    assert.match(
      text,
      /apiserver_flowcontrol_rejected_requests_total\{flow_schema="noxu",priority_level="few",reason="concurrency-limit"\} 4/,
    );
    assert.match(text, /apiserver_flowcontrol_nominal_limit_seats\{priority_level="few"\} 4/);
  });

  it('tells of a schema whose level is gone, and passes it over', async () => {
    await api.http('DELETE', `${AT}/prioritylevelconfigurations/few`);
    await eventually('the condition', async () => {
      const { status } = await get(`${AT}/flowschemas/noxu`);
      const dangling = status.conditions?.find((c: any) => c.type === 'Dangling');
      return dangling?.status === 'True' && dangling.reason === 'NotFound';
    });
    const { headers } = await as('noxu', '/version');
    const fallback = (await get(`${AT}/flowschemas/global-default`)).metadata.uid;
    assert.equal(headers['x-kubernetes-pf-flowschema-uid'], fallback);
  });
});
