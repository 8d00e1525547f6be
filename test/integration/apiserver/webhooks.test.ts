/** Admission webhooks with the real kubectl and a real TLS server. */
import assert from 'node:assert/strict';
import { type Reply, startWebhook, type TestWebhook } from '../../fixtures/webhook.js';
import { startServer, type TestServer } from './server.js';

const CONFIG_MAPS = {
  operations: ['CREATE', 'UPDATE'],
  apiGroups: [''],
  apiVersions: ['v1'],
  resources: ['configmaps'],
};

describe('admission webhooks: kubectl', function () {
  this.timeout(60_000);
  let server: TestServer;
  let hook: TestWebhook;
  let ownCertificate: string;

  before(async () => {
    server = await startServer();
    const tls = await server.pki.ensure('hook', {
      commonName: 'hook',
      ips: ['127.0.0.1'],
      dnsNames: ['hook.hooked.svc'],
      usage: 'server',
    });
    ownCertificate = Buffer.from(tls.cert).toString('base64');
    hook = await startWebhook({ ...tls, ca: server.pki.caCert });
    await kubectl('create namespace hooked');
    await kubectl('label namespace hooked hooks=on');
  });
  after(async () => {
    await hook?.close();
    await server?.close();
  });
  afterEach(async () => {
    for (const kind of ['validating', 'mutating']) await kubectl(`delete ${kind}webhookconfigurations --all`);
    await kubectl('delete configmaps --all -n hooked');
    hook.asked.length = 0;
  });

  const attempt = (args: string, input?: object) =>
    server.kubectl(args, input === undefined ? undefined : JSON.stringify(input));
  async function kubectl(args: string, input?: object): Promise<string> {
    const { stdout, stderr, code } = await attempt(args, input);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  /** Makes a configuration of one webhook, which answers at `/name`. */
  async function configure(kind: 'Validating' | 'Mutating', name: string, more: object = {}): Promise<void> {
    const webhook = {
      name: `${name}.example.com`,
      clientConfig: { url: hook.url(`/${name}`), caBundle: hook.caBundle },
      rules: [CONFIG_MAPS],
      namespaceSelector: { matchLabels: { hooks: 'on' } },
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      ...more,
    };
    await kubectl('create -f -', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name },
      webhooks: [webhook],
    });
  }

  it('deny in the words of the webhook, from the moment that they are configured', async () => {
    hook.on('/deny', ({ object }) =>
      object.data?.bad
        ? {
            allowed: false,
            status: { message: 'the config map contains bad data', code: 403, reason: 'Forbidden' },
          }
        : { warnings: ['this is a warning'] },
    );
    await configure('Validating', 'deny');
    assert.match(
      (await attempt('create configmap one -n hooked --from-literal=bad=yes')).stderr,
      /^error: failed to create configmap: admission webhook "deny.example.com" denied the request: the config map contains bad data\n$/,
    );
    const allowed = await attempt('create configmap one -n hooked --from-literal=good=yes');
    assert.equal(allowed.code, 0);
    assert.match(allowed.stderr, /Warning: this is a warning/);
    assert.equal((await attempt('create configmap one -n default --from-literal=bad=yes')).code, 0);
    const denied = await attempt('create -n hooked -f -', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'two' },
      data: { bad: 'yes' },
    });
    assert.match(
      denied.stderr,
      /^Error from server \(Forbidden\): error when creating "STDIN": admission webhook "deny/,
    );
    assert.match(
      (await attempt('patch configmap one -n hooked -p {"data":{"bad":"now"}}')).stderr,
      /denied the request: the config map contains bad data/,
    );
    hook.on('/deny', () => ({ allowed: false }));
    assert.match(
      (await attempt('annotate configmap one -n hooked a=b')).stderr,
      /admission webhook "deny.example.com" denied the request without explanation/,
    );
  });

  it('are trusted by their own certificate, without its issuer', async () => {
    hook.on('/own', () => ({ warnings: ['told'] }));
    await configure('Validating', 'own', {
      clientConfig: { url: hook.url('/own'), caBundle: ownCertificate },
    });
    assert.match((await attempt('create configmap one -n hooked')).stderr, /Warning: told/);
  });

  it('are followed to where they redirect', async () => {
    hook.on('/moved', () => ({ raw: { code: 307, headers: { location: '/arrived' } } }));
    hook.on('/arrived', ({ object }) => ({ warnings: [`arrived: ${object.metadata.name}`] }));
    await configure('Validating', 'moved');
    assert.match((await attempt('create configmap one -n hooked')).stderr, /Warning: arrived: one/);
  });

  it('are told all of the request', async () => {
    await configure('Validating', 'told');
    await kubectl('create configmap told -n hooked --from-literal=a=b --dry-run=server');
    await kubectl('create configmap told -n hooked --from-literal=a=b');
    await kubectl('annotate configmap told -n hooked x=y');
    const [dry, created, changed] = hook.asked.map(({ review }) => review.request);
    assert.equal(dry.dryRun, true);
    assert.deepEqual(hook.asked[1]!.review, {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        uid: created.uid,
        kind: { group: '', version: 'v1', kind: 'ConfigMap' },
        resource: { group: '', version: 'v1', resource: 'configmaps' },
        requestKind: { group: '', version: 'v1', kind: 'ConfigMap' },
        requestResource: { group: '', version: 'v1', resource: 'configmaps' },
        name: 'told',
        namespace: 'hooked',
        operation: 'CREATE',
        userInfo: created.userInfo,
        object: created.object,
        oldObject: null,
        dryRun: false,
        options: {
          kind: 'CreateOptions',
          apiVersion: 'meta.k8s.io/v1',
          fieldManager: 'kubectl-create',
          fieldValidation: 'Strict',
        },
      },
    });
    assert.equal(created.userInfo.username, 'admin');
    assert.deepEqual(created.object.data, { a: 'b' });
    assert.equal(changed.operation, 'UPDATE');
    assert.equal(changed.options.kind, 'PatchOptions');
    assert.deepEqual(changed.object.metadata.annotations, { x: 'y' });
    assert.equal(changed.oldObject.metadata.annotations, undefined);
  });

  it('change objects one after the other, and once more where one asks for it', async () => {
    const stage = (n: number) => (request: any) => ({
      patch: [{ op: 'add', path: `/data/stage-${n}`, value: Object.keys(request.object.data).join(',') }],
    });
    hook.on('/a-first', stage(1));
    hook.on('/b-second', (request) => (request.object.data['stage-2'] ? {} : stage(2)(request)));
    await configure('Mutating', 'b-second');
    await configure('Mutating', 'a-first', { reinvocationPolicy: 'IfNeeded' });
    await kubectl('create configmap staged -n hooked --from-literal=start=yes');
    const { data } = JSON.parse(await kubectl('get configmap staged -n hooked -o json'));
    assert.deepEqual(data, { start: 'yes', 'stage-1': 'start,stage-1,stage-2', 'stage-2': 'start,stage-1' });
    assert.deepEqual(
      hook.asked.map(({ path }) => path),
      ['/a-first', '/b-second', '/a-first'],
    );
  });

  it('give defaults to what they add', async () => {
    hook.on('/sidecar', () => ({
      patch: [{ op: 'add', path: '/spec/initContainers', value: [{ name: 'added', image: 'busybox' }] }],
    }));
    await configure('Mutating', 'sidecar', {
      rules: [{ ...CONFIG_MAPS, operations: ['CREATE'], resources: ['pods'] }],
    });
    await kubectl('create serviceaccount default -n hooked');
    await kubectl('run web -n hooked --image=nginx');
    const { spec } = JSON.parse(await kubectl('get pod web -n hooked -o json'));
    const [added] = spec.initContainers;
    assert.equal(added.terminationMessagePolicy, 'File');
    assert.equal(added.imagePullPolicy, 'Always');
    assert.deepEqual(added.resources, {});
  });

  it('count or not when they fail, as their policy says', async () => {
    hook.on('/slow', () => new Promise((resolve) => setTimeout(() => resolve({}), 3000)));
    await configure('Validating', 'slow', { timeoutSeconds: 1 });
    assert.match(
      (await attempt('create configmap one -n hooked')).stderr,
      /^error: failed to create configmap: Internal error occurred: failed calling webhook "slow.example.com": failed to call webhook: Post "https:\/\/127.0.0.1:\d+\/slow\?timeout=1s": context deadline exceeded\n$/,
    );
    await kubectl('delete validatingwebhookconfiguration slow');
    await configure('Validating', 'slow', { timeoutSeconds: 1, failurePolicy: 'Ignore' });
    await kubectl('create configmap one -n hooked');
    await kubectl('delete validatingwebhookconfiguration slow');
    await configure('Validating', 'unknown', { clientConfig: { url: hook.url('/unknown') } });
    assert.match(
      (await attempt('create configmap two -n hooked')).stderr,
      /certificate signed by unknown authority/,
    );
    await kubectl('delete validatingwebhookconfiguration unknown');
    const service = { namespace: 'hooked', name: 'nowhere', path: '/x' };
    await configure('Validating', 'nowhere', { clientConfig: { service, caBundle: hook.caBundle } });
    assert.match(
      (await attempt('create configmap two -n hooked')).stderr,
      /Post "https:\/\/nowhere.hooked.svc:443\/x\?timeout=10s": service "nowhere" not found/,
    );
  });

  it('are refused answers that are none', async () => {
    await configure('Mutating', 'wrong');
    const cases: [Reply, RegExp][] = [
      [
        { raw: { code: 500, body: 'boom' } },
        /failed to call webhook: an error on the server \("boom"\) has prevented/,
      ],
      [
        { raw: { code: 200, body: '{"response":{}}' } },
        /expected webhook response of admission.k8s.io\/v1, Kind=AdmissionReview, got \/, Kind=/,
      ],
      [{ uid: 'x' }, /received invalid webhook response: expected response.uid="[^"]+", got "x"/],
      [{ patchType: 'JSONPatch' }, /webhook returned response.patchType but not response.patch/],
      [
        { patch: [{ op: 'remove', path: '/nope' }] },
        /Internal error occurred: error in remove for path: '\/nope': Unable to remove nonexistent key: nope: missing value/,
      ],
    ];
    for (const [reply, expected] of cases) {
      hook.on('/wrong', () => reply);
      assert.match((await attempt('create configmap one -n hooked')).stderr, expected);
    }
  });

  it('are asked only about what rules, selectors and conditions let through', async () => {
    await configure('Validating', 'some', {
      objectSelector: { matchLabels: { watched: 'yes' } },
      matchConditions: [
        { name: 'no-system', expression: '!request.userInfo.username.startsWith("system:")' },
        { name: 'large', expression: 'object.metadata.name.size() > 3' },
      ],
    });
    const make = (name: string, labels: object) =>
      attempt('create -n hooked -f -', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels } });
    for (const [name, labels] of [
      ['plain', {}],
      ['abc', { watched: 'yes' }],
      ['abcd', { watched: 'yes' }],
    ] as const)
      assert.equal((await make(name, labels)).code, 0);
    assert.deepEqual(
      hook.asked.map(({ review }) => review.request.name),
      ['abcd'],
    );
    await kubectl('delete validatingwebhookconfiguration some');
    await configure('Validating', 'fails', {
      matchConditions: [{ name: 'missing', expression: 'object.data.nope == "x"' }],
    });
    assert.match(
      (await make('other', {})).stderr,
      /Error from server \(Forbidden\).*expression 'object.data.nope == "x"' resulted in error: no such key/,
    );
    const { text } = await server.http('GET', '/metrics');
    const of = (name: string) =>
      `\\{name="${name}.example.com",kind="webhook",type="validating",operation="CREATE"\\}`;
    for (const [name, webhook, count] of [
      ['evaluation_seconds_count', 'some', 2],
      ['exclusions_total', 'some', 1],
      ['evaluation_errors_total', 'fails', 1],
    ] as const)
      assert.match(
        text,
        new RegExp(`^apiserver_admission_match_condition_${name}${of(webhook)} ${count}$`, 'm'),
      );
  });

  it('see deletes, subresources, and other versions of what they know', async () => {
    await kubectl('create deployment web -n hooked --image=nginx');
    await kubectl('create configmap doomed -n hooked');
    hook.on('/all', ({ operation }) => (operation === 'DELETE' ? { allowed: false } : {}));
    const rule = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] };
    await configure('Validating', 'all', { rules: [rule] });
    assert.match((await attempt('delete configmap doomed -n hooked')).stderr, /denied the request/);
    await kubectl('scale deployment web -n hooked --replicas=2');
    const [deleted, scaled] = hook.asked.map(({ review }) => review.request);
    assert.equal(deleted.object, null);
    assert.equal(deleted.oldObject.metadata.name, 'doomed');
    assert.deepEqual(scaled.kind, { group: 'autoscaling', version: 'v1', kind: 'Scale' });
    assert.equal(scaled.subResource, 'scale');
    assert.equal(scaled.object.spec.replicas, 2);
    await kubectl('delete validatingwebhookconfiguration all');
    hook.asked.length = 0;
    const scalers = {
      operations: ['CREATE'],
      apiGroups: ['autoscaling'],
      apiVersions: ['v1'],
      resources: ['horizontalpodautoscalers'],
    };
    await configure('Validating', 'older', { rules: [scalers] });
    const scaler = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'web' },
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, maxReplicas: 3 },
    };
    await kubectl('create -n hooked -f -', scaler);
    const [{ kind, requestKind, object }] = hook.asked.map(({ review }) => review.request);
    assert.equal(kind.version, 'v1');
    assert.equal(requestKind.version, 'v2');
    assert.equal(object.apiVersion, 'autoscaling/v1');
    await kubectl('delete validatingwebhookconfiguration older');
    await configure('Validating', 'exact', { rules: [scalers], matchPolicy: 'Exact' });
    hook.asked.length = 0;
    await kubectl('delete hpa web -n hooked');
    await kubectl('create -n hooked -f -', scaler);
    assert.deepEqual(hook.asked, []);
  });

  it('never stand in the way of their own configuration', async () => {
    const rule = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] };
    hook.on('/closed', () => ({ allowed: false }));
    await configure('Validating', 'closed', { rules: [rule], namespaceSelector: {} });
    await kubectl('label validatingwebhookconfiguration closed a=b');
    assert.match((await attempt('create namespace more')).stderr, /denied the request/);
    await kubectl('delete validatingwebhookconfiguration closed');
    await kubectl('create namespace more');
  });

  it('are reached behind Services, in pods that only their node can reach', async () => {
    const address = '203.0.113.9';
    const port = Number(new URL(hook.url('/')).port);
    const meta = (name: string, labels = {}) => ({ name, namespace: 'hooked', labels });
    await kubectl('create -f -', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: meta('hook'),
      spec: { nodeName: 'far', containers: [{ name: 'c', image: 'i' }] },
    });
    const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }] };
    const patched = await server.http('PATCH', '/api/v1/namespaces/hooked/pods/hook/status', {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ status }),
    });
    assert.equal(patched.code, 200, patched.text);
    await kubectl('create -f -', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta('hook'),
      spec: { ports: [{ name: 'https', port: 443 }] },
    });
    await kubectl('create -f -', {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: meta('hook-1', { 'kubernetes.io/service-name': 'hook' }),
      addressType: 'IPv4',
      endpoints: [{ addresses: [address], targetRef: { kind: 'Pod', name: 'hook', namespace: 'hooked' } }],
      ports: [{ name: 'https', port }],
    });
    hook.on('/behind', () => ({ allowed: false, status: { message: 'from behind' } }));
    const clientConfig = {
      service: { namespace: 'hooked', name: 'hook', path: '/behind' },
      caBundle: hook.caBundle,
    };
    await configure('Validating', 'behind', { clientConfig });
    for (const name of ['one', 'two'])
      assert.match(
        (await attempt(`create configmap ${name} -n hooked`)).stderr,
        /admission webhook "behind.example.com" denied the request: from behind/,
      );
    await kubectl('delete endpointslice hook-1 -n hooked');
    await kubectl('delete service hook -n hooked');
    await kubectl('delete validatingwebhookconfiguration behind');
    await configure('Validating', 'behind-other', {
      clientConfig: { ...clientConfig, service: { namespace: 'hooked', name: 'none' } },
    });
    assert.match(
      (await attempt('create configmap three -n hooked')).stderr,
      /failed calling webhook "behind-other.example.com": .*Post "https:\/\/none.hooked.svc:443\/\?timeout=10s": service "none" not found/,
    );
  });
});
