/** What meets at one request: custom kinds, webhooks, policies and the audit log. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../fixtures/cluster.js';
import { startWebhook, type TestWebhook } from '../../fixtures/webhook.js';
import { startServer, type TestServer } from './server.js';

const AUDIT = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Request, resources: [{group: "", resources: [configmaps, pods, pods/exec]}]}
- {level: Metadata}
`;

const definition = (schema: string, name = 'boxes', kind = 'Box', versions = '[v1]') => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ${name}.ext.example.com}
spec:
  group: ext.example.com
  scope: Namespaced
  names: {plural: ${name}, kind: ${kind}}
  versions: ${JSON.stringify(
    versions
      .slice(1, -1)
      .split(',')
      .map((version, i) => ({
        name: version,
        served: true,
        storage: i === 0,
        schema: { openAPIV3Schema: '@' },
      })),
  ).replaceAll('"@"', schema)}
`;
const SCHEMA = `{type: object, properties: {spec: {type: object, properties: {
  size: {type: integer, x-kubernetes-validations: [{rule: "oldSelf.hasValue() ? self >= oldSelf.value() : self > 0", optionalOldSelf: true, message: may only grow from one}]},
  note: {type: string}, list: {type: array, items: {type: string}},
  template: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}}}}}`;
const box = (name: string, spec: object, version = 'v1') => ({
  apiVersion: `ext.example.com/${version}`,
  kind: 'Box',
  metadata: { name },
  spec,
});

describe('custom kinds, admission and audit together', function () {
  this.timeout(60_000);
  let api: TestServer;
  let hook: TestWebhook;
  let dir: string;

  const attempt = (args: string, input?: object | string) =>
    api.kubectl(args, input === undefined || typeof input === 'string' ? input : JSON.stringify(input));
  async function ok(args: string, input?: object | string): Promise<string> {
    const { stdout, stderr, code } = await attempt(args, input);
    assert.equal(code, 0, `kubectl ${args}: ${stderr}`);
    return stdout;
  }
  async function fails(args: string, message: RegExp, input?: object | string): Promise<void> {
    const { stderr, code } = await attempt(args, input);
    assert.notEqual(code, 0, `kubectl ${args} succeeded`);
    assert.match(stderr, message);
  }
  const audited = (what: string, wanted: (event: any) => boolean) =>
    eventually(what, async () =>
      readFileSync(join(dir, 'audit.log'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .find(wanted),
    );
  async function configure(name: string, rule: object, more: object = {}): Promise<void> {
    const webhook = {
      name: `${name}.example.com`,
      clientConfig: { url: hook.url(`/${name}`), caBundle: hook.caBundle },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], ...rule }],
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      ...more,
    };
    await ok('create -f -', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name },
      webhooks: [webhook],
    });
  }

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-ext-'));
    writeFileSync(join(dir, 'policy.yaml'), AUDIT);
    const audit = { auditPolicyFile: join(dir, 'policy.yaml'), auditLogPath: join(dir, 'audit.log') };
    api = await startServer({}, { audit });
    const tls = await api.pki.ensure('hook', { commonName: 'hook', ips: ['127.0.0.1'], usage: 'server' });
    hook = await startWebhook({ ...tls, ca: api.pki.caCert });
    await ok('create serviceaccount default');
    await ok('create -f -', definition(SCHEMA));
    await ok('wait --for=condition=Established crd/boxes.ext.example.com --timeout=5s');
  });
  after(async () => {
    await hook?.close();
    await api?.close();
    rmSync(dir, { recursive: true, force: true });
  });
  afterEach(async () => {
    await ok('delete validatingwebhookconfigurations,validatingadmissionpolicies --all');
    await ok('delete validatingadmissionpolicybindings --all');
    hook.asked.length = 0;
  });

  it('compares with what was there before, if there was something', async () => {
    await fails(
      'create -f -',
      /spec\.size: Invalid value: "integer": may only grow from one/,
      box('a', { size: 0 }),
    );
    await ok('create -f -', box('a', { size: 3 }));
    await fails('patch box a --type=merge -p {"spec":{"size":2}}', /may only grow from one/);
    await ok('patch box a --type=merge -p {"spec":{"size":4}}');
  });

  it('checks resources within resources, and keeps only metadata that there is', async () => {
    await fails(
      'create -f -',
      /spec\.template\.apiVersion: Required value: must not be empty[\s\S]*spec\.template\.kind: Required value: must not be empty/,
      box('e', { template: { x: 1 } }),
    );
    const template = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', nonsense: 1 }, x: 1 };
    await ok('create --validate=ignore -f -', box('e', { template }));
    const kept = JSON.parse(await ok('get box e -o json')).spec.template;
    assert.deepEqual(kept, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, x: 1 });
  });

  it('does not hold against an update what it leaves as it was', async () => {
    await ok('create -f -', box('r', { size: 1, note: 'long', list: ['long', 'ok'] }));
    const stricter = SCHEMA.replace('note: {type: string', 'note: {type: string, maxLength: 3').replace(
      'items: {type: string',
      'items: {type: string, maxLength: 3',
    );
    await ok('apply -f -', definition(stricter));
    await ok('patch box r --type=merge -p {"spec":{"size":2}}');
    await fails(
      'patch box r --type=merge -p {"spec":{"note":"longer"}}',
      /spec\.note: Too long: may not be more than 3/,
    );
    await ok('patch box r --type=merge -p {"spec":{"note":"abc"}}');
    await ok('apply -f -', definition(SCHEMA));
  });

  it('answers protobuf clients in JSON if they take that, or not at all', async () => {
    const path = '/apis/ext.example.com/v1/namespaces/default/boxes';
    const both = 'application/vnd.kubernetes.protobuf,application/json';
    const { code, headers } = await api.http('GET', path, { headers: { accept: both } });
    assert.deepEqual([code, headers['content-type']], [200, 'application/json']);
    const only = await api.http('GET', path, { headers: { accept: 'application/vnd.kubernetes.protobuf' } });
    assert.equal(only.code, 406);
    const sent = await api.http('POST', path, {
      headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
      body: Buffer.from('k8s\0'),
    });
    assert.equal(sent.code, 415);
  });

  it('asks webhooks about connections', async () => {
    await ok('run web --image=x --overrides={"spec":{"nodeName":"n"}}');
    await ok(
      'patch pod web --subresource=status --type=merge -p {"status":{"phase":"Running","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}]}}',
    );
    await configure('connect', { operations: ['CONNECT'], resources: ['pods/*', 'services/proxy'] });
    hook.on('/connect', () => ({ allowed: false, status: { message: 'no way in' } }));
    const refused = /admission webhook "connect\.example\.com" denied the request: no way in/;
    await fails('exec web -- cat', refused);
    await fails('attach web', refused);
    await fails('port-forward web 18080:80', refused);
    await fails('get --raw /api/v1/namespaces/default/pods/web/proxy/some/where', refused);
    await fails('get --raw /api/v1/namespaces/default/services/web:80/proxy/x', refused);
    const seen = hook.asked.map(({ review: { request } }) => [
      request.operation,
      request.subResource,
      request.object.kind,
      request.name,
    ]);
    const one = (subresource: string) => seen.find(([, name]) => name === subresource);
    assert.deepEqual(one('exec'), ['CONNECT', 'exec', 'PodExecOptions', 'web']);
    assert.deepEqual(one('attach'), ['CONNECT', 'attach', 'PodAttachOptions', 'web']);
    assert.deepEqual(one('portforward'), ['CONNECT', 'portforward', 'PodPortForwardOptions', 'web']);
    assert.deepEqual(one('proxy'), ['CONNECT', 'proxy', 'PodProxyOptions', 'web']);
    const { request } = hook.asked.find(
      ({ review }) => review.request.object.kind === 'PodProxyOptions',
    )!.review;
    assert.equal(request.object.path, '/some/where');
    assert.equal(seen.at(-1)![2], 'ServiceProxyOptions');
  });

  it('asks webhooks about bindings, evictions and tokens', async () => {
    await ok('run free --image=x');
    await configure('sub', {
      operations: ['CREATE'],
      resources: ['pods/binding', 'pods/eviction', 'serviceaccounts/token'],
    });
    hook.on('/sub', ({ subResource }) => ({ allowed: false, status: { message: `no ${subResource}` } }));
    const post = (path: string, body: object) =>
      api.http('POST', `/api/v1/namespaces/default/${path}`, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const target = { apiVersion: 'v1', kind: 'Node', name: 'n' };
    const answers = [
      await post('pods/free/binding', {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name: 'free' },
        target,
      }),
      await post('pods/free/eviction', {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: 'free' },
      }),
    ];
    for (const [i, name] of ['binding', 'eviction'].entries())
      assert.match(answers[i]!.json.message, new RegExp(`denied the request: no ${name}`));
    await fails('create token default', /denied the request: no token/);
    assert.deepEqual(
      hook.asked.map(({ review }) => review.request.object.kind),
      ['Binding', 'Eviction', 'TokenRequest'],
    );
  });

  it('tells the audit log what webhooks and policies have to say', async () => {
    await configure('noted', { operations: ['CREATE'], resources: ['configmaps'] });
    hook.on('/noted', () => ({ auditAnnotations: { reason: 'because' } }));
    await ok('create -f -', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'marks' },
      spec: {
        matchConstraints: {
          resourceRules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] },
          ],
        },
        validations: [{ expression: 'object.metadata.name != "bad"', message: 'a bad name' }],
        auditAnnotations: [{ key: 'name', valueExpression: '"is " + object.metadata.name' }],
      },
    });
    await ok('create -f -', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'marks' },
      spec: { policyName: 'marks', validationActions: ['Warn', 'Audit'] },
    });
    await ok('create configmap good');
    await ok('create configmap bad');
    const created = (name: string) => (event: any) =>
      event.verb === 'create' && event.requestObject?.metadata.name === name;
    const good = (await audited('good', created('good'))).annotations;
    assert.equal(good['noted.example.com/reason'], 'because');
    assert.equal(good['marks/name'], 'is good');
    assert.equal(good['authorization.k8s.io/decision'], 'allow');
    const bad = (await audited('bad', created('bad'))).annotations;
    const [failure] = JSON.parse(bad['validation.policy.admission.k8s.io/validation_failure']);
    assert.deepEqual(
      [failure.message, failure.policy, failure.binding, failure.expressionIndex, failure.validationActions],
      ['a bad name', 'marks', 'marks', 0, ['Warn', 'Audit']],
    );
  });

  it('tells the audit log of pods that a namespace does not want', async () => {
    await ok('create namespace watched');
    await ok('label namespace watched pod-security.kubernetes.io/audit=restricted');
    await ok('create serviceaccount default -n watched');
    await ok('run loose --image=x -n watched');
    const { annotations } = await audited(
      'the pod',
      (e) => e.verb === 'create' && e.objectRef?.namespace === 'watched' && e.objectRef.resource === 'pods',
    );
    assert.match(
      annotations['pod-security.kubernetes.io/audit-violations'],
      /^would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false/,
    );
    assert.equal(annotations['pod-security.kubernetes.io/enforce-policy'], 'privileged:latest');
  });

  it('records YAML and protobuf as the objects that they are, and credentials that are no good', async () => {
    const path = '/api/v1/namespaces/default/configmaps';
    const yaml = await api.http('POST', path, {
      headers: { 'content-type': 'application/yaml' },
      body: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml}\ndata: {a: b}\n',
    });
    assert.equal(yaml.code, 201, yaml.text);
    const accept = 'application/vnd.kubernetes.protobuf';
    const { bytes } = await api.http('GET', `${path}/from-yaml`, { headers: { accept } });
    await api.http('PUT', `${path}/from-yaml`, { headers: { 'content-type': accept }, body: bytes });
    for (const verb of ['create', 'update']) {
      const { requestObject } = await audited(
        verb,
        (e) => e.verb === verb && e.requestObject?.metadata.name === 'from-yaml',
      );
      assert.deepEqual([requestObject.kind, requestObject.data], ['ConfigMap', { a: 'b' }]);
    }
    const refused = await api.http('GET', path, {
      anonymous: true,
      headers: { authorization: 'Bearer nonsense' },
    });
    assert.equal(refused.code, 401);
    const event = await audited('the refusal', (e) => e.auditID === refused.headers['audit-id']);
    assert.equal(event.stage, 'ResponseStarted');
    assert.equal(event.responseStatus.code, 401);
    assert.equal(event.responseStatus.message, 'Authentication failed, attempted: bearer');
  });

  it('matches other versions of custom kinds, and takes parameters from them', async () => {
    await ok('apply -f -', definition(SCHEMA, 'boxes', 'Box', '[v1,v2]'));
    await eventually('v2', async () => (await attempt('get boxes.v2.ext.example.com')).code === 0);
    await ok('create -f -', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'limits' },
      spec: {
        paramKind: { apiVersion: 'ext.example.com/v2', kind: 'Box' },
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: ['ext.example.com'],
              apiVersions: ['v1'],
              operations: ['CREATE'],
              resources: ['boxes'],
            },
          ],
        },
        validations: [
          {
            expression: 'object.spec.size <= params.spec.size',
            messageExpression: '"at most " + string(params.spec.size) + " in " + object.apiVersion',
          },
        ],
      },
    });
    await ok('create -f -', box('limit', { size: 5 }, 'v2'));
    await ok('create -f -', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'limits' },
      spec: {
        policyName: 'limits',
        paramRef: { name: 'limit', namespace: 'default', parameterNotFoundAction: 'Deny' },
        validationActions: ['Deny'],
      },
    });
    await fails('create -f -', /at most 5 in ext\.example\.com\/v1/, box('big', { size: 9 }, 'v2'));
    await ok('create -f -', box('small', { size: 5 }, 'v2'));
  });
});
