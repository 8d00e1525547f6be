/** ValidatingAdmissionPolicies and MutatingAdmissionPolicies with the real kubectl. */
import assert from 'node:assert/strict';
import { startServer, type TestServer } from './server.js';

const rule = (resource: string, group = '', version = 'v1') => ({
  apiGroups: [group],
  apiVersions: [version],
  operations: ['CREATE', 'UPDATE'],
  resources: [resource],
});
const DEPLOYMENTS = { resourceRules: [rule('deployments', 'apps')] };
const CONFIG_MAPS = { resourceRules: [rule('configmaps')] };

describe('admission policies: kubectl', function () {
  this.timeout(60_000);
  let server: TestServer;

  before(async () => {
    server = await startServer();
    await kubectl('create namespace ruled');
    await kubectl('label namespace ruled environment=test');
  });
  after(() => server?.close());
  afterEach(async () => {
    const kinds = ['validatingadmissionpolicies', 'mutatingadmissionpolicies'];
    const bindings = ['validatingadmissionpolicybindings', 'mutatingadmissionpolicybindings'];
    for (const kind of [...bindings, ...kinds]) await kubectl(`delete ${kind} --all`);
    await kubectl('delete deployments,configmaps --all -n ruled');
  });

  const attempt = (args: string, input?: object) =>
    server.kubectl(args, input === undefined ? undefined : JSON.stringify(input));
  async function kubectl(args: string, input?: object): Promise<string> {
    const { stdout, stderr, code } = await attempt(args, input);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  /** Makes a policy and its binding, both called `name`. */
  async function policy(
    kind: 'Validating' | 'Mutating',
    name: string,
    spec: object,
    binding: object = {},
  ): Promise<void> {
    const apiVersion = 'admissionregistration.k8s.io/v1';
    await kubectl('create -f -', { apiVersion, kind: `${kind}AdmissionPolicy`, metadata: { name }, spec });
    await kubectl('create -f -', {
      apiVersion,
      kind: `${kind}AdmissionPolicyBinding`,
      metadata: { name },
      spec: { policyName: name, ...(kind === 'Validating' && { validationActions: ['Deny'] }), ...binding },
    });
  }

  const configMap = (name: string, data: object = {}, metadata: object = {}) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, ...metadata },
    data,
  });

  it('refuse what violates an expression, in its message', async () => {
    await policy('Validating', 'replicas', {
      matchConstraints: DEPLOYMENTS,
      variables: [
        { name: 'replicas', expression: 'object.spec.replicas' },
        { name: 'oddReplicas', expression: 'variables.replicas % 2 == 1' },
      ],
      validations: [
        {
          expression: 'variables.replicas > 1',
          messageExpression: "'wants replicas > 1, got ' + string(variables.replicas)",
        },
        { expression: 'variables.oddReplicas', message: 'an odd number, please', reason: 'Forbidden' },
      ],
    });
    assert.match(
      (await attempt('create deployment one -n ruled --image=nginx')).stderr,
      /^error: failed to create deployment: deployments.apps "one" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'replicas' denied request: wants replicas > 1, got 1\n$/,
    );
    assert.match(
      (await attempt('create deployment two -n ruled --image=nginx --replicas=2')).stderr,
      /denied request: an odd number, please/,
    );
    assert.match(
      (await server.http('GET', '/metrics')).text,
      /^apiserver_validating_admission_policy_check_total\{enforcement_action="deny",error_type="no_error",policy="replicas",policy_binding="replicas"\} 2$/m,
    );
    await kubectl('create deployment three -n ruled --image=nginx --replicas=3');
    const { json, code } = await server.http('POST', '/apis/apps/v1/namespaces/ruled/deployments', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...JSON.parse(await kubectl('create deployment one -n ruled --image=nginx --dry-run=client -o json')),
      }),
    });
    assert.equal(code, 422);
    assert.equal(json.reason, 'Invalid');
    assert.equal(
      json.details.causes[0].message,
      "ValidatingAdmissionPolicy 'replicas' with binding 'replicas' denied request: wants replicas > 1, got 1",
    );
    assert.match(await kubectl('get validatingadmissionpolicies'), /^replicas +2 +<unset> +/m);
    assert.match(await kubectl('get validatingadmissionpolicybindings'), /^replicas +replicas +<unset> +/m);
  });

  it('take parameters from objects', async () => {
    const limits = (name: string, max: string, labels: object = {}) => configMap(name, { max }, { labels });
    await kubectl('create -n ruled -f -', limits('limits', '5'));
    const spec = {
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      matchConstraints: DEPLOYMENTS,
      validations: [
        {
          expression: 'object.spec.replicas <= int(params.data.max)',
          messageExpression: "'at most ' + params.data.max",
        },
      ],
    };
    await policy('Validating', 'limited', spec, {
      paramRef: { name: 'limits', parameterNotFoundAction: 'Deny' },
    });
    assert.match(
      (await attempt('create deployment web -n ruled --image=nginx --replicas=6')).stderr,
      /at most 5/,
    );
    await kubectl('patch configmap limits -n ruled -p {"data":{"max":"7"}}');
    await kubectl('create deployment web -n ruled --image=nginx --replicas=6');
    await kubectl('delete configmap limits -n ruled');
    assert.match(
      (await attempt('scale deployment web -n ruled --replicas=9')).stdout,
      /scaled/,
      'the scale subresource is not named by the rules',
    );
    assert.match(
      (await attempt('annotate deployment web -n ruled a=b')).stderr,
      /denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction/,
    );
    await kubectl('delete validatingadmissionpolicybinding limited');
    await kubectl('create -n ruled -f -', limits('a', '20', { use: 'yes' }));
    await kubectl('create -n ruled -f -', limits('b', '8', { use: 'yes' }));
    await kubectl('create -f -', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'selected' },
      spec: {
        policyName: 'limited',
        validationActions: ['Deny'],
        paramRef: { selector: { matchLabels: { use: 'yes' } }, parameterNotFoundAction: 'Allow' },
      },
    });
    assert.match((await attempt('annotate deployment web -n ruled a=b')).stderr, /denied request: at most 8/);
  });

  it('warn instead, match by labels of the namespace, and know who asks', async () => {
    await policy(
      'Validating',
      'soft',
      {
        matchConstraints: CONFIG_MAPS,
        matchConditions: [{ name: 'not-nodes', expression: '!("system:nodes" in request.userInfo.groups)' }],
        validations: [
          {
            expression:
              'authorizer.group("").resource("secrets").namespace("ruled").check("delete").allowed()',
            messageExpression:
              '"no secrets for " + request.userInfo.username + " in " + namespaceObject.metadata.labels.environment',
          },
        ],
      },
      {
        validationActions: ['Warn', 'Audit'],
        matchResources: { namespaceSelector: { matchLabels: { environment: 'test' } } },
      },
    );
    await kubectl('create role both -n ruled --verb=create,delete --resource=configmaps,secrets');
    await kubectl('create rolebinding ann -n ruled --role=both --user=ann');
    await kubectl('create role maps -n ruled --verb=create --resource=configmaps');
    await kubectl('create rolebinding bob -n ruled --role=maps --user=bob');
    assert.equal((await attempt('create configmap a -n ruled --as=ann')).stderr, '');
    const { stderr, code } = await attempt('create configmap b -n ruled --as=bob');
    assert.equal(code, 0);
    assert.match(
      stderr,
      /Warning: Validation failed for ValidatingAdmissionPolicy 'soft' with binding 'soft': no secrets for bob in test/,
    );
    assert.equal((await attempt('create configmap c -n default')).stderr, '');
  });

  it('count errors as their failure policy says', async () => {
    const spec = {
      matchConstraints: CONFIG_MAPS,
      validations: [{ expression: 'object.data.needed == "x"' }],
    };
    await policy('Validating', 'strict', spec);
    assert.match(
      (await attempt('create configmap a -n ruled')).stderr,
      /denied request: expression 'object.data.needed == "x"' resulted in error: no such key: data/,
    );
    await kubectl(
      'patch validatingadmissionpolicy strict --type=merge -p {"spec":{"paramKind":{"apiVersion":"a.io/v1","kind":"Nothing"}}}',
    );
    assert.match(
      (await attempt('create configmap a -n ruled')).stderr,
      /ValidatingAdmissionPolicy 'strict' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'a.io\/v1, Kind=Nothing'\n$/,
    );
    await kubectl(
      'patch validatingadmissionpolicy strict --type=merge -p {"spec":{"failurePolicy":"Ignore","paramKind":null}}',
    );
    await kubectl('create configmap a -n ruled');
  });

  it('are checked when they are made', async () => {
    const { stderr } = await attempt('create -f -', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'wrong' },
      spec: {
        matchConstraints: CONFIG_MAPS,
        variables: [{ name: 'in', expression: '1' }],
        validations: [
          { expression: 'objct.x == 1' },
          { expression: '1 + 1' },
          { expression: 'true', reason: 'Gone' },
        ],
      },
    });
    for (const part of [
      'spec.variables[0].name: Invalid value: "in": name is not a valid CEL identifier',
      `spec.validations[0].expression: Invalid value: "objct.x == 1": compilation failed: ERROR: <input>:1:1: undeclared reference to 'objct' (in container '')`,
      'spec.validations[1].expression: Invalid value: "1 + 1": must evaluate to bool but got int',
      'spec.validations[2].reason: Unsupported value: "Gone": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"',
    ])
      assert(stderr.includes(part), `${part}\n${stderr}`);
  });

  it('change objects by configurations and patches', async () => {
    await policy('Mutating', 'sidecars', {
      matchConstraints: { resourceRules: [{ ...rule('deployments', 'apps'), operations: ['CREATE'] }] },
      reinvocationPolicy: 'IfNeeded',
      variables: [{ name: 'team', expression: '"ops"' }],
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression:
              'Object{metadata: Object.metadata{labels: {"team": variables.team}}, spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: "sidecar", image: "busybox"}]}}}}',
          },
        },
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression:
              '[JSONPatch{op: "add", path: "/metadata/annotations", value: {}}, JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("example.com/added"), value: string(object.spec.replicas)}]',
          },
        },
      ],
    });
    await kubectl('create deployment web -n ruled --image=nginx --replicas=2');
    const { metadata, spec } = JSON.parse(await kubectl('get deployment web -n ruled -o json'));
    assert.equal(metadata.labels.team, 'ops');
    assert.equal(metadata.labels.app, 'web');
    assert.equal(metadata.annotations['example.com/added'], '2');
    assert.deepEqual(
      spec.template.spec.containers.map(({ name, terminationMessagePolicy }: any) => [
        name,
        terminationMessagePolicy,
      ]),
      [
        ['sidecar', 'File'],
        ['nginx', 'File'],
      ].reverse(),
    );
    assert.match(await kubectl('get mutatingadmissionpolicies'), /^sidecars +2 +<unset> +/m);
  });

  it('refuse changes that can not be made', async () => {
    await policy('Mutating', 'broken', {
      matchConstraints: CONFIG_MAPS,
      reinvocationPolicy: 'Never',
      mutations: [
        {
          patchType: 'JSONPatch',
          jsonPatch: { expression: '[JSONPatch{op: "add", path: "/data/x", value: object.data.nope}]' },
        },
      ],
    });
    const post = async () => {
      const made = await server.http('POST', '/api/v1/namespaces/ruled/configmaps', {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ metadata: { name: 'a' } }),
      });
      return [made.code, made.json.reason, made.json.message, made.json.details.causes];
    };
    const [code, reason, message, causes] = await post();
    assert.deepEqual([code, reason], [403, 'Invalid']);
    assert.match(
      message,
      /^policy 'broken' with binding 'broken' denied request: expression '.*' resulted in error: no such key: data$/,
    );
    assert.deepEqual(causes, [{ message }]);
    await kubectl(
      'patch mutatingadmissionpolicy broken --type=merge -p {"spec":{"paramKind":{"apiVersion":"v1","kind":"Nothing"}}}',
    );
    const unknown =
      'policy "broken" denied request: failed to configure policy: failed to find resource referenced by paramKind: \'/v1, Kind=Nothing\'';
    assert.deepEqual(await post(), [403, 'Forbidden', unknown, [{ message: unknown }]]);
    assert.match(
      (
        await attempt('create -f -', {
          apiVersion: 'admissionregistration.k8s.io/v1',
          kind: 'MutatingAdmissionPolicy',
          metadata: { name: 'wrong' },
          spec: {
            matchConstraints: CONFIG_MAPS,
            reinvocationPolicy: 'Never',
            mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression: '1' } }],
          },
        })
      ).stderr,
      /spec.mutations\[0\].applyConfiguration.expression: Invalid value: "1": must evaluate to Object but got int/,
    );
  });
});
