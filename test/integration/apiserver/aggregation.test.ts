import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { createCa, issueCertificate } from '../../../src/auth/certificates.js';
import { eventually } from '../../fixtures/cluster.js';
import { startServer, type TestServer } from './server.js';

const JSON_BODY = { 'content-type': 'application/json' };
const GROUP = 'wardle.example.com';
const APISERVICES = '/apis/apiregistration.k8s.io/v1/apiservices';
const FLUNDERS = `/apis/${GROUP}/v1alpha1/namespaces/default/flunders`;

/** The Status of this server is another than the built-in one. */
const OPENAPI_V2 = {
  swagger: '2.0',
  info: { title: 'wardle', version: '1' },
  paths: {
    [`/apis/${GROUP}/v1alpha1/flunders`]: {
      get: {
        operationId: 'listFlunders',
        responses: {
          200: { description: 'OK', schema: { $ref: '#/definitions/com.example.wardle.Flunder' } },
        },
      },
    },
    '/apis/other.example.com/v1/things': {},
  },
  definitions: {
    'com.example.wardle.Flunder': {
      description: 'What is kept here.',
      type: 'object',
      properties: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        status: { $ref: '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Status' },
      },
      'x-kubernetes-group-version-kind': [{ group: GROUP, version: 'v1alpha1', kind: 'Flunder' }],
    },
    'io.k8s.apimachinery.pkg.apis.meta.v1.Status': { type: 'object', description: 'Another one.' },
    'com.example.wardle.Unused': { type: 'object' },
  },
};

/** An API server of its own: one kind, kept in memory. It believes nobody without the proxy's certificate. */
class Extension {
  readonly seen: { url: string; headers: IncomingMessage['headers'] }[] = [];
  readonly #flunders = new Map<string, any>();
  readonly #watchers = new Set<ServerResponse>();
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  port = 0;

  constructor(tls: { cert: string; key: string }, proxyCa: string) {
    const options = { ...tls, ca: proxyCa, requestCert: true, rejectUnauthorized: false };
    this.#server = createServer(options, (request, response) => void this.#serve(request, response));
    this.#sockets = new WebSocketServer({ server: this.#server as any });
    this.#sockets.on('connection', (socket, request) =>
      socket.send(`hello ${request.headers['x-remote-user']}`),
    );
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.port = (this.#server.address() as AddressInfo).port;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url!;
    const json = (code: number, value: object) =>
      response.writeHead(code, JSON_BODY).end(JSON.stringify(value));
    const peer = request.socket as TLSSocket;
    if (!peer.authorized || peer.getPeerCertificate().subject.CN !== 'front-proxy-client')
      return void json(401, { kind: 'Status', code: 401 });
    this.seen.push({ url, headers: request.headers });
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (url === `/apis/${GROUP}/v1alpha1`)
      return void json(200, {
        kind: 'APIResourceList',
        apiVersion: 'v1',
        groupVersion: `${GROUP}/v1alpha1`,
        resources: [
          {
            name: 'flunders',
            singularName: 'flunder',
            namespaced: true,
            kind: 'Flunder',
            verbs: ['create', 'delete', 'get', 'list', 'watch'],
            shortNames: ['fl'],
          },
        ],
      });
    if (url === '/openapi/v2') return void json(200, OPENAPI_V2);
    if (url === '/openapi/v3')
      return void json(200, {
        paths: {
          [`apis/${GROUP}/v1alpha1`]: { serverRelativeURL: `/openapi/v3/apis/${GROUP}/v1alpha1?hash=1` },
        },
      });
    if (url.startsWith(`/openapi/v3/apis/${GROUP}`)) return void json(200, { openapi: '3.0.0', paths: {} });
    if (url.startsWith(`${FLUNDERS}/redirect`))
      return void response.writeHead(302, { location: 'https://example.com/' }).end();
    if (url.startsWith(FLUNDERS)) return this.#flunder(request, url, Buffer.concat(chunks), json, response);
    json(404, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 });
  }

  #flunder(
    { method }: IncomingMessage,
    url: string,
    body: Buffer,
    json: (code: number, value: object) => unknown,
    response: ServerResponse,
  ): void {
    const name = url.split('?')[0]!.slice(FLUNDERS.length + 1);
    if (method === 'POST') {
      const object = JSON.parse(body.toString());
      object.metadata.uid = 'u';
      this.#flunders.set(object.metadata.name, object);
      for (const watcher of this.#watchers) watcher.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
      json(201, object);
    } else if (method === 'DELETE') {
      this.#flunders.delete(name);
      json(200, { kind: 'Status', apiVersion: 'v1', status: 'Success' });
    } else if (url.includes('watch=')) {
      response.writeHead(200, JSON_BODY);
      response.flushHeaders();
      this.#watchers.add(response);
    } else if (name === '') {
      const list = {
        kind: 'FlunderList',
        apiVersion: `${GROUP}/v1alpha1`,
        metadata: { resourceVersion: '1' },
      };
      json(200, { ...list, items: [...this.#flunders.values()] });
    } else json(200, this.#flunders.get(name));
  }
}

describe('API aggregation', function () {
  this.timeout(60_000);
  let api: TestServer;
  let extension: Extension;
  let ca: { cert: string; key: string };

  before(async () => {
    api = await startServer();
    ca = await createCa({ commonName: 'extension-ca' }, 1);
    const map = await get('/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication');
    assert.deepEqual(JSON.parse(map.data['requestheader-allowed-names']), ['front-proxy-client']);
    assert.deepEqual(JSON.parse(map.data['requestheader-username-headers']), ['X-Remote-User']);
    assert.equal(map.data['client-ca-file'], api.pki.caCert);
    const serving = await issueCertificate(ca, {
      commonName: 'api.default.svc',
      dnsNames: ['api.default.svc'],
      usage: 'server',
    });
    extension = new Extension(serving, map.data['requestheader-client-ca-file']);
    await extension.listen();
  });
  after(async () => {
    await extension?.close();
    await api?.close();
  });

  const get = async (path: string, headers: object = {}) => {
    const { code, json, text } = await api.http('GET', path, { headers });
    assert.equal(code, 200, text);
    return json;
  };
  const create = async (path: string, object: object) => {
    const { code, text, json } = await api.http('POST', path, {
      headers: JSON_BODY,
      body: JSON.stringify(object),
    });
    assert.equal(code, 201, text);
    return json;
  };
  const condition = async (name = `v1alpha1.${GROUP}`) =>
    (await get(`${APISERVICES}/${name}`)).status.conditions?.[0];
  const becomes = (reason: string) =>
    eventually(`the condition ${reason}`, async () => {
      const now = await condition();
      return now?.reason === reason ? now : undefined;
    });

  const apiService = (spec: object = {}) => ({
    metadata: { name: `v1alpha1.${GROUP}` },
    spec: {
      group: GROUP,
      version: 'v1alpha1',
      groupPriorityMinimum: 2000,
      versionPriority: 200,
      service: { namespace: 'default', name: 'api', port: 7443 },
      caBundle: Buffer.from(ca.cert).toString('base64'),
      ...spec,
    },
  });

  it('has an APIService for every group version that is built in', async () => {
    const { items } = await get(APISERVICES);
    const names = items.map((item: any) => item.metadata.name);
    for (const name of [
      'v1.',
      'v1.apps',
      'v2.autoscaling',
      'v1.apiregistration.k8s.io',
      'v1beta1.metrics.k8s.io',
    ])
      assert.ok(names.includes(name), name);
    const { status, reason, message } = await condition('v1.apps');
    assert.deepEqual([status, reason, message], ['True', 'Local', 'Local APIServices are always available']);
    const { stdout } = await api.kubectl('get apiservice v1.apps');
    assert.match(stdout, /NAME +SERVICE +AVAILABLE +AGE\nv1.apps +Local +True/);
  });

  it('refuses what can not be right', async () => {
    const { code, json } = await api.http('POST', APISERVICES, {
      headers: JSON_BODY,
      body: JSON.stringify({ metadata: { name: 'wrong' }, spec: { group: 'g.example.com', version: 'v1' } }),
    });
    assert.equal(code, 422);
    assert.match(json.message, /must be `spec.version\+"."\+spec.group`: "v1.g.example.com"/);
    assert.match(json.message, /must be positive and less than 20000/);
  });

  it('tells step by step what is missing, and then serves what the other server has', async () => {
    await create(APISERVICES, apiService());
    const missing = await becomes('ServiceNotFound');
    assert.equal(missing.message, 'service/api in "default" is not present');
    const unavailable = await api.http('GET', FLUNDERS);
    assert.deepEqual([unavailable.code, unavailable.text], [503, 'service unavailable\n']);

    const services = '/api/v1/namespaces/default/services';
    await create(services, { metadata: { name: 'api' }, spec: { ports: [{ name: 'https', port: 443 }] } });
    assert.match((await becomes('ServicePortError')).message, /is not listening on port 7443/);
    await api.http('PATCH', `${services}/api`, {
      headers: { 'content-type': 'application/json-patch+json' },
      body: JSON.stringify([{ op: 'replace', path: '/spec/ports/0/port', value: 7443 }]),
    });
    assert.match((await becomes('EndpointsNotFound')).message, /cannot find endpointslices for service\/api/);

    await create('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
      metadata: { name: 'api-1', labels: { 'kubernetes.io/service-name': 'api' } },
      addressType: 'IPv4',
      endpoints: [],
      ports: [{ name: 'https', port: extension.port }],
    });
    assert.match((await becomes('MissingEndpoints')).message, /have no addresses with port name "https"/);
    await api.http('DELETE', `${services}/api`);
    await create(services, {
      metadata: { name: 'api' },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    });
    await api.http('PATCH', `${APISERVICES}/v1alpha1.${GROUP}`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ spec: { service: { port: extension.port } } }),
    });
    assert.equal((await becomes('Passed')).message, 'all checks passed');
  });

  /** The last that was passed on: the server itself asks for documents in between. */
  const lastSeen = () => extension.seen.findLast(({ url }) => url.startsWith(FLUNDERS))!;

  it('passes requests on with the user that they are from', async () => {
    const created = await create(FLUNDERS, {
      kind: 'Flunder',
      apiVersion: `${GROUP}/v1alpha1`,
      metadata: { name: 'one', namespace: 'default' },
    });
    assert.equal(created.metadata.uid, 'u');
    const headers = lastSeen().headers;
    assert.equal(headers['x-remote-user'], 'admin');
    assert.match(String(headers['x-remote-group']), /system:masters, system:authenticated/);
    await api.http('GET', FLUNDERS, {
      headers: {
        'impersonate-user': 'ann',
        'impersonate-group': 'system:masters',
        'impersonate-extra-scopes.example.com%2Fa': 'x',
        'x-remote-user': 'forged',
      },
    });
    const ann = lastSeen().headers;
    assert.equal(ann['x-remote-user'], 'ann');
    assert.equal(ann['x-remote-extra-scopes.example.com%2fa'], 'x');
    assert.equal(ann['impersonate-user'], undefined);
    const eve = await api.http('GET', FLUNDERS, { headers: { 'impersonate-user': 'eve' } });
    assert.equal(eve.code, 403);
  });

  it('is part of discovery in every form', async () => {
    const legacy = await get('/apis');
    const group = legacy.groups.find((g: any) => g.name === GROUP);
    assert.equal(group.preferredVersion.version, 'v1alpha1');
    const names = legacy.groups.map((g: any) => g.name);
    assert.equal(names[0], 'apiregistration.k8s.io');
    assert.ok(names.indexOf('apps') < names.indexOf(GROUP));
    assert.equal((await get(`/apis/${GROUP}`)).kind, 'APIGroup');
    assert.equal((await get(`/apis/${GROUP}/v1alpha1`)).resources[0].name, 'flunders');
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const shown = await eventually('the resources in discovery', async () => {
      const list = JSON.parse((await api.http('GET', '/apis', { headers: { accept } })).text);
      const version = list.items.find((item: any) => item.metadata.name === GROUP)?.versions[0];
      return version?.resources.length > 0 ? version : undefined;
    });
    assert.equal(shown.freshness, 'Current');
    assert.deepEqual(shown.resources[0].responseKind, { group: GROUP, version: 'v1alpha1', kind: 'Flunder' });
    const v3 = await get('/openapi/v3');
    const url = v3.paths[`apis/${GROUP}/v1alpha1`].serverRelativeURL;
    assert.equal((await get(url)).openapi, '3.0.0');
    const v2 = await get('/openapi/v2');
    assert.ok(v2.paths[`/apis/${GROUP}/v1alpha1/flunders`] && v2.paths['/api/v1/pods']);
    assert.equal(v2.paths['/apis/other.example.com/v1/things'], undefined);
    const STATUS = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status';
    const flunder = v2.definitions['com.example.wardle.Flunder'];
    assert.equal(flunder.properties.status.$ref, `#/definitions/${STATUS}_v2`);
    assert.equal(v2.definitions[`${STATUS}_v2`].description, 'Another one.');
    assert.notEqual(v2.definitions[STATUS].description, 'Another one.');
    assert.equal(v2.definitions['com.example.wardle.Unused'], undefined);
    const proto = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
    const encoded = await api.http('GET', '/openapi/v2', { headers: { accept: proto } });
    assert.match(encoded.text, /com\.example\.wardle\.Flunder/);
    const { stdout } = await api.kubectl('get flunders -o name');
    assert.equal(stdout, `flunder.${GROUP}/one\n`);
  });

  it('lets watches and upgrades through', async () => {
    const watching = api.http('GET', `${FLUNDERS}?watch=true&timeoutSeconds=2`);
    watching.catch(() => undefined);
    await eventually('the watch', async () => extension.seen.some(({ url }) => url.includes('watch=true')));
    await create(FLUNDERS, { metadata: { name: 'two', namespace: 'default' } });
    const socket = new WebSocket(`wss://127.0.0.1:${api.port}${FLUNDERS}/one/talk`, {
      ca: api.pki.caCert,
      ...api.admin,
    });
    const said = await new Promise<string>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (message) => resolve(message.toString()));
    });
    socket.terminate();
    assert.equal(said, 'hello admin');
  });

  it('does not follow a server that leads elsewhere, or whose certificate is wrong', async () => {
    const { code, text } = await api.http('GET', `${FLUNDERS}/redirect`);
    assert.equal(code, 502, text);
    const wrong = await createCa({ commonName: 'other' }, 1);
    const patch = async (spec: object) => {
      const { code, text } = await api.http('PATCH', `${APISERVICES}/v1alpha1.${GROUP}`, {
        headers: { 'content-type': 'application/merge-patch+json' },
        body: JSON.stringify({ spec }),
      });
      assert.equal(code, 200, text);
    };
    await patch({ caBundle: Buffer.from(wrong.cert).toString('base64') });
    const refused = await api.http('GET', FLUNDERS);
    assert.equal(refused.code, 503, refused.text);
    await patch({ caBundle: null, insecureSkipTLSVerify: true });
    assert.equal((await api.http('GET', FLUNDERS)).code, 200);
  });

  it('says so when the server has gone, and goes on when it is back', async () => {
    const { port } = extension;
    await extension.close();
    await api.http('PATCH', `${APISERVICES}/v1alpha1.${GROUP}`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ spec: { versionPriority: 201 } }),
    });
    const gone = await becomes('FailedDiscoveryCheck');
    assert.match(gone.message, /^failing or missing response from https:\/\/.*connect: connection refused/);
    assert.equal((await api.http('GET', FLUNDERS)).code, 503);
    await extension.listen(port);
    await becomes('Passed');
    assert.equal((await api.http('GET', FLUNDERS)).code, 200);
  });

  it('forgets a group version with its APIService', async () => {
    assert.equal((await api.http('DELETE', `${APISERVICES}/v1alpha1.${GROUP}`)).code, 200);
    assert.equal((await api.http('GET', `/apis/${GROUP}/v1alpha1`)).code, 404);
    const { groups } = await get('/apis');
    assert.ok(!groups.some((g: any) => g.name === GROUP));
  });
});
