/** What particular clients ask for: typed Go clients, older ones, and those who act for others. */
import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import protobuf from 'protobufjs/minimal.js';
import { encodeProtobuf } from '../../../src/api/schema/protobuf/index.js';
import { eventually } from '../../fixtures/cluster.js';
import { startServer, type TestServer } from './server.js';

const JSON_BODY = { 'content-type': 'application/json' };
const PROTOBUF = { 'content-type': 'application/vnd.kubernetes.protobuf' };
const OPENAPI_V3 = 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf';
const SECRETS = '/api/v1/namespaces/default/secrets';

const widgets = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        },
      },
    ],
  },
};

/** The numbers of the fields that a message has, and the text of field 1. */
function fieldsOf(bytes: Uint8Array): { numbers: Set<number>; first: string } {
  const reader = protobuf.Reader.create(bytes);
  const found = { numbers: new Set<number>(), first: '' };
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    found.numbers.add(tag >>> 3);
    if (tag === 10) found.first = reader.string();
    else reader.skipType(tag & 7);
  }
  return found;
}

describe('apiserver: what clients ask for', function () {
  this.timeout(30_000);
  let api: TestServer;
  before(async () => {
    api = await startServer();
  });
  after(() => api?.close());

  const create = async (path: string, object: object) => {
    const body = JSON.stringify(object);
    const { code, json, text } = await api.http('POST', path, { headers: JSON_BODY, body });
    assert.equal(code, 201, text);
    return json;
  };

  it('watches by the paths that came before the parameter', async () => {
    await create(SECRETS, { metadata: { name: 'one' } });
    await create(SECRETS, { metadata: { name: 'two' } });
    const seen = async (path: string) => {
      const { text, headers, code } = await api.http('GET', `${path}?timeoutSeconds=1&watch=1`);
      assert.equal(code, 200, text);
      assert.equal(headers['content-type'], 'application/json');
      return text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).object.metadata.name);
    };
    const [all, ofNamespace, one] = await Promise.all([
      seen('/api/v1/watch/secrets'),
      seen('/api/v1/watch/namespaces/default/secrets'),
      seen('/api/v1/watch/namespaces/default/secrets/two'),
    ]);
    assert.deepEqual(all.sort(), ['one', 'two']);
    assert.deepEqual(ofNamespace.sort(), ['one', 'two']);
    assert.deepEqual(one, ['two']);
    const other = await api.http(
      'GET',
      '/api/v1/watch/namespaces/default/secrets/two?fieldSelector=metadata.name%3Done',
    );
    assert.deepEqual(
      [other.code, other.json.message],
      [400, "fieldSelector metadata.name doesn't match requested name"],
    );
  });

  it('keeps empty messages of objects that come in protobuf', async () => {
    const made = await api.http('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      headers: PROTOBUF,
      body: encodeProtobuf(widgets)!,
    });
    assert.equal(made.code, 201, made.text);
    assert.deepEqual(made.json.spec.versions[0].subresources, { status: {} });
  });

  it('gives OpenAPI v3 in protobuf, also that of custom kinds', async () => {
    const paths = await eventually('the custom kind in OpenAPI', async () => {
      const { paths } = (await api.http('GET', '/openapi/v3')).json;
      return paths['apis/example.com/v1'] && paths;
    });
    for (const path of ['apis/apps/v1', 'apis/example.com/v1']) {
      const url = paths[path].serverRelativeURL;
      const { code, headers, bytes } = await api.http('GET', url, { headers: { accept: OPENAPI_V3 } });
      assert.deepEqual([code, headers['content-type']], [200, OPENAPI_V3], path);
      const { numbers, first } = fieldsOf(bytes);
      // openapi, info, paths, components
      assert.deepEqual([first, [...numbers].sort()], ['3.0.0', [1, 2, 4, 5]]);
      assert.match(bytes.toString(), path === 'apis/apps/v1' ? /DeploymentSpec/ : /com\.example\.v1\.Widget/);
    }
  });

  it('lets users impersonate for some requests alone', async () => {
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const metadata = { name: 'reader-for-jane' };
    await create(`${rbac}/clusterroles`, {
      metadata,
      rules: [
        { verbs: ['impersonate-on:user-info:list'], apiGroups: [''], resources: ['secrets'] },
        {
          verbs: ['impersonate:user-info'],
          apiGroups: ['authentication.k8s.io'],
          resources: ['users'],
          resourceNames: ['jane'],
        },
      ],
    });
    await create(`${rbac}/clusterroles`, {
      metadata: { name: 'secrets' },
      rules: [{ verbs: ['*'], apiGroups: [''], resources: ['secrets'] }],
    });
    const bind = (role: string, user: string) =>
      create(`${rbac}/clusterrolebindings`, {
        metadata: { name: role },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
      });
    await bind('reader-for-jane', 'bot');
    await bind('secrets', 'jane');
    const { cert, key } = await api.pki.ensure('bot', { commonName: 'bot', usage: 'client' });
    const agent = new Agent({ ca: api.pki.caCert, cert, key });
    const asJane = (path: string) =>
      api.http('GET', path, { agent, headers: { 'impersonate-user': 'jane' } });
    assert.equal((await asJane(SECRETS)).code, 200);
    const refused = await asJane(`${SECRETS}/one`);
    assert.equal(refused.code, 403);
    assert.match(refused.json.message, /"bot" cannot impersonate-on:user-info:get resource "secrets"/);
    agent.destroy();
  });
});
