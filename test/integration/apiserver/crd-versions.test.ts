/** Versions, rules and restarts of custom resources with the real kubectl. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { startServer, type TestServer } from './server.js';

const versioned = (conversion: string) => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: hosts.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: hosts, kind: Host}
  conversion: ${conversion}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {hostPort: {type: string}}}}
  - name: v2
    served: true
    storage: false
    deprecated: true
    schema: {openAPIV3Schema: {type: object, properties: {host: {type: string}, port: {type: string, default: "80"}}}}
`;

const RULES = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ranges.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: ranges, kind: Range}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - {rule: self.min <= self.max, messageExpression: "'min ' + (self.min > 2 ? '3' : '0') + ' is above max'", fieldPath: .min}
            properties:
              min: {type: integer}
              max: {type: integer}
              name: {type: string, x-kubernetes-validations: [{rule: self == oldSelf, message: name is immutable, reason: FieldValueForbidden}]}
`;

const range = (spec: string) =>
  `apiVersion: stable.example.com/v1\nkind: Range\nmetadata: {name: a}\nspec: {${spec}}\n`;

describe('versions and rules of custom resources with kubectl', function () {
  this.timeout(60_000);
  let s: TestServer;
  let webhook: Server;
  const ok = async (args: string, input?: string) => {
    const { stdout, stderr, code } = await s.kubectl(args, input);
    assert.equal(code, 0, `kubectl ${args}: ${stderr}`);
    return stdout;
  };
  const fails = async (args: string, message: RegExp, input?: string) => {
    const { stderr, code } = await s.kubectl(args, input);
    assert.notEqual(code, 0, `kubectl ${args} succeeded`);
    assert.match(stderr, message);
  };
  const get = async (what: string) => JSON.parse(await ok(`get ${what} -o json`));
  const define = async (manifest: string, name: string) => {
    await ok('apply -f -', manifest);
    await ok(`wait --for=condition=Established crd/${name} --timeout=5s`);
  };

  before(async () => {
    s = await startServer();
    await ok('create serviceaccount default');
    const { cert, key } = await s.pki.ensure('webhook', {
      commonName: 'webhook',
      ips: ['127.0.0.1'],
      usage: 'server',
    });
    webhook = createServer({ cert, key }, async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      response.end(JSON.stringify(review(JSON.parse(Buffer.concat(chunks).toString()))));
    });
    await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    await s.close();
    webhook.closeAllConnections();
    webhook.close();
  });

  /** v1 has `hostPort`, v2 has `host` and `port`. */
  function review({ apiVersion, request }: any) {
    const { uid, desiredAPIVersion, objects } = request;
    const convertedObjects = objects.map(({ apiVersion: from, hostPort, host, port, ...rest }: any) => {
      if (from === desiredAPIVersion) return { apiVersion: from, hostPort, host, port, ...rest };
      if (desiredAPIVersion.endsWith('/v1'))
        return { ...rest, apiVersion: desiredAPIVersion, hostPort: `${host}:${port}` };
      const [h, p] = String(hostPort).split(':');
      return { ...rest, apiVersion: desiredAPIVersion, host: h, port: p };
    });
    return {
      apiVersion,
      kind: 'ConversionReview',
      response: { uid, result: { status: 'Success' }, convertedObjects },
    };
  }

  it('converts by name alone, and warns of deprecated versions', async () => {
    await define(versioned('{strategy: None}'), 'hosts.stable.example.com');
    const { stderr } = await s.kubectl(
      'create -f -',
      'apiVersion: stable.example.com/v2\nkind: Host\nmetadata: {name: plain}\nhost: a\n',
    );
    assert.match(stderr, /Warning: stable\.example\.com\/v2 Host is deprecated/);
    const v1 = await get('hosts.v1.stable.example.com plain');
    assert.deepEqual([v1.apiVersion, v1.host, v1.port], ['stable.example.com/v1', undefined, undefined]);
    assert.equal((await get('hosts.v2.stable.example.com plain')).port, '80');
    await ok('delete hosts plain');
  });

  it('asks a webhook to convert what is read, written, listed and watched', async () => {
    const { port } = webhook.address() as AddressInfo;
    const ca = Buffer.from(s.pki.caCert).toString('base64');
    const conversion = `{strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {url: "https://127.0.0.1:${port}/convert", caBundle: ${ca}}}}`;
    await define(versioned(conversion), 'hosts.stable.example.com');
    await ok(
      'apply -f -',
      'apiVersion: stable.example.com/v2\nkind: Host\nmetadata: {name: a}\nhost: localhost\nport: "8080"\n',
    );
    assert.equal((await get('hosts.v1.stable.example.com a')).hostPort, 'localhost:8080');
    await ok(
      'apply -f -',
      'apiVersion: stable.example.com/v1\nkind: Host\nmetadata: {name: b}\nhostPort: "other:1"\n',
    );
    const { items } = await get('hosts.v2.stable.example.com');
    assert.deepEqual(
      items.map((h: any) => `${h.host} ${h.port}`),
      ['localhost 8080', 'other 1'],
    );
    await ok('patch hosts.v2.stable.example.com a --type=merge -p {"port":"9"}');
    assert.equal((await get('hosts.v1.stable.example.com a')).hostPort, 'localhost:9');
    await ok('delete hosts --all');
  });

  it('shows policies the version that they match', async () => {
    const rules = `{resourceRules: [{apiGroups: [stable.example.com], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [hosts]}]}`;
    const policy = (kind: string, name: string, spec: string) =>
      ok(
        'create -f -',
        [
          'apiVersion: admissionregistration.k8s.io/v1',
          `kind: ${kind}`,
          `metadata: {name: ${name}}`,
          `spec: ${spec}`,
        ].join('\n'),
      );
    await policy(
      'MutatingAdmissionPolicy',
      'ports',
      `{reinvocationPolicy: Never, matchConstraints: ${rules}, mutations: [{patchType: JSONPatch, jsonPatch: {expression: '[JSONPatch{op: "replace", path: "/hostPort", value: object.hostPort.replace(":1", ":10")}]'}}]}`,
    );
    await policy('MutatingAdmissionPolicyBinding', 'ports', '{policyName: ports}');
    await policy(
      'ValidatingAdmissionPolicy',
      'hosts',
      `{matchConstraints: ${rules}, validations: [{expression: "object.hostPort.startsWith('good')", messageExpression: "'not ' + object.hostPort + ' in ' + object.apiVersion"}]}`,
    );
    await policy(
      'ValidatingAdmissionPolicyBinding',
      'hosts',
      '{policyName: hosts, validationActions: [Deny]}',
    );
    const host = (name: string) =>
      `apiVersion: stable.example.com/v2\nkind: Host\nmetadata: {name: h}\nhost: ${name}\nport: "1"\n`;
    await fails('create -f -', /: not bad:10 in stable.example.com\/v1/, host('bad'));
    await ok('create -f -', host('good'));
    assert.equal((await get('hosts.v2.stable.example.com h')).port, '10');
    for (const kind of ['mutatingadmissionpolicies', 'validatingadmissionpolicies'])
      await ok(`delete ${kind} --all`);
    await ok('delete hosts --all');
  });

  it('keeps a version in which objects were stored', async () => {
    const moved = versioned('{strategy: None}')
      .replace('storage: true', 'storage: X')
      .replace('storage: false', 'storage: true')
      .replace('storage: X', 'storage: false');
    await ok('apply -f -', moved);
    assert.deepEqual((await get('crd hosts.stable.example.com')).status.storedVersions, ['v1', 'v2']);
    const without = moved.replace(/ {2}- name: v1[\s\S]*?(?= {2}- name: v2)/, '');
    await fails(
      'apply -f -',
      /status\.storedVersions\[0\]: Invalid value: "v1": missing from spec\.versions/,
      without,
    );
    await ok(
      'patch crd hosts.stable.example.com --subresource=status --type=merge -p {"status":{"storedVersions":["v2"]}}',
    );
    await ok('apply -f -', without);
  });

  it('checks rules of the schema, also those of changes', async () => {
    await define(RULES, 'ranges.stable.example.com');
    await fails(
      'create -f -',
      /spec\.min: Invalid value: "object": min 3 is above max/,
      range('min: 3, max: 2'),
    );
    await ok('create -f -', range('min: 1, max: 2, name: x'));
    await fails(
      'patch range a --type=merge -p {"spec":{"name":"y"}}',
      /spec\.name: Forbidden: name is immutable/,
    );
    await ok('patch range a --type=merge -p {"spec":{"max":5}}');
    await fails(
      'apply -f -',
      /x-kubernetes-validations\[0\]\.rule: Invalid value: .*compilation failed: .*undefined field 'mix'/,
      RULES.replace('self.min <=', 'self.mix <='),
    );
    await fails('apply -f -', /Syntax error/, RULES.replace('self.min <= self.max', '"self.min <= "'));
  });

  it('refuses rules that may cost too much', async () => {
    const item = '{type: string, maxLength: 9, x-kubernetes-validations: [{rule: \'self.contains("x")\'}]}';
    const costly = (bounds: string) =>
      RULES.replaceAll('ranges', 'costs')
        .replaceAll('Range', 'Cost')
        .replace(
          'min: {type: integer}',
          `min: {type: integer}\n              many: {type: array${bounds}, items: ${item}}`,
        )
        .replace('self.min <= self.max', '"self.many.all(a, self.many.all(b, a <= b))"');
    await fails(
      'create -f -',
      /x-kubernetes-validations\[0\]\.rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x \(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared\)/,
      costly(''),
    );
    await fails(
      'create -f -',
      /openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget/,
      costly(''),
    );
    await ok('create -f -', costly(', maxItems: 50'));
    await fails(
      'create -f -',
      /messageExpression: Forbidden: estimated messageExpression cost exceeds budget/,
      RULES.replace("(self.min > 2 ? '3' : '0')", 'string(self.min)'),
    );
  });
});
