import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { Agent, createServer as createSecureServer, request } from 'node:https';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import { gunzipSync, gzipSync } from 'node:zlib';
import { WebSocket, WebSocketServer } from 'ws';
import { startServer, type TestServer } from './server.js';

const ROOT = '/api/v1/namespaces/default';

describe('proxy subresources', function () {
  this.timeout(30_000);
  let api: TestServer;
  let backend: Server;
  let secure: Server;
  let port: number;
  let securePort: number;
  const seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = [];

  before(async () => {
    api = await startServer();
    backend = createServer(async (incoming, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      seen.push({ method: incoming.method!, url: incoming.url!, headers: incoming.headers, body });
      serve(incoming.url!, response);
    });
    const sockets = new WebSocketServer({ server: backend });
    sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(`echo ${message}`)));
    const pair = await api.pki.issue({ commonName: 'backend', ips: ['127.0.0.1'], usage: 'server' });
    secure = createSecureServer(pair, (_incoming, response) => response.end('over TLS')) as unknown as Server;
    [port, securePort] = await Promise.all([listen(backend), listen(secure)]);
    await create('serviceaccounts', { kind: 'ServiceAccount', metadata: { name: 'default' } });
    await create('pods', {
      kind: 'Pod',
      metadata: { name: 'p', labels: { app: 'p' } },
      spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i', ports: [{ containerPort: port }] }] },
    });
    const status = { podIP: '10.1.2.3', podIPs: [{ ip: '10.1.2.3' }], phase: 'Running' };
    const patched = await api.http('PATCH', `${ROOT}/pods/p/status`, {
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ status }),
    });
    assert.equal(patched.code, 200, patched.text);
    await create('services', {
      kind: 'Service',
      metadata: { name: 's' },
      spec: {
        ports: [
          { name: 'web', port: 80, targetPort: port },
          { name: 'tls', port: 443 },
        ],
      },
    });
    await create('services', {
      kind: 'Service',
      metadata: { name: 'empty' },
      spec: { ports: [{ port: 80 }] },
    });
    const targetRef = { kind: 'Pod', namespace: 'default', name: 'p' };
    await create('endpoints', {
      kind: 'Endpoints',
      metadata: { name: 's' },
      subsets: [
        {
          addresses: [{ ip: '10.1.2.3', targetRef }, { ip: '10.9.9.9' }],
          ports: [
            { name: 'web', port },
            { name: 'tls', port: securePort },
          ],
        },
      ],
    });
    await create('endpoints', { kind: 'Endpoints', metadata: { name: 'empty' } });
  });
  after(async () => {
    for (const server of [backend, secure]) server?.close();
    await api?.close();
  });
  beforeEach(() => seen.splice(0));

  const listen = (server: TcpServer): Promise<number> =>
    new Promise((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
    );

  async function create(resource: string, object: object): Promise<void> {
    const { code, text } = await api.http('POST', `${ROOT}/${resource}`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ apiVersion: 'v1', ...object }),
    });
    assert.equal(code, 201, text);
  }

  function serve(url: string, response: import('node:http').ServerResponse): void {
    const page = '<a href="/x">x</a> <a href="y">y</a> <img src=\'//other/z\'> ünï <p title="/t">';
    if (url === '/moved') response.writeHead(302, { location: '/to/here?a=1' }).end();
    else if (url === '/elsewhere') response.writeHead(302, { location: 'http://example.com/' }).end();
    else if (url === '/page')
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
    else if (url === '/zipped')
      response
        .writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip' })
        .end(gzipSync(page));
    else if (url === '/odd')
      response
        .writeHead(418, { 'set-cookie': ['a=1', 'b=2'], 'access-control-allow-origin': '*', 'x-own': 'yes' })
        .end('teapot');
    else if (url === '/slow') {
      response.write('first');
      setTimeout(() => response.end('second'), 300);
    } else response.end('ok');
  }

  it('passes every verb, path, query and body on, and the answer back', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const { code, text } = await api.http(method, `${ROOT}/pods/p:${port}/proxy/a%20b/c?q=%2F&r`, {
        ...(method === 'GET'
          ? {}
          : { body: `body of ${method}`, headers: { 'content-length': `body of ${method}`.length } }),
      });
      assert.deepEqual([code, text], [200, 'ok'], method);
      const last = seen.at(-1)!;
      assert.deepEqual([last.method, last.url], [method, '/a%20b/c?q=%2F&r']);
      assert.equal(last.body, method === 'GET' ? '' : `body of ${method}`);
    }
    const head = await api.http('HEAD', `${ROOT}/pods/p/proxy/`);
    assert.deepEqual([head.code, head.text, seen.at(-1)!.method], [200, '', 'HEAD']);
  });

  it('keeps status and headers, without what is between client and server alone', async () => {
    const { code, headers, text } = await api.http('GET', `${ROOT}/pods/http:p:${port}/proxy/odd`, {
      headers: { 'x-mine': '1', 'impersonate-user': 'eve', 'impersonate-group': 'system:masters' },
    });
    assert.deepEqual([code, text, headers['x-own']], [418, 'teapot', 'yes']);
    assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
    assert.equal(headers['access-control-allow-origin'], undefined);
    const got = seen[0]!.headers;
    assert.equal(got['x-mine'], '1');
    assert.equal(got['x-forwarded-for'], '127.0.0.1');
    assert.equal(got['x-forwarded-uri'], `${ROOT}/pods/http:p:${port}/proxy/odd`);
    assert.deepEqual(
      Object.keys(got).filter((name) => name.startsWith('impersonate') || name === 'authorization'),
      [],
    );
  });

  it('rewrites redirects and links, also in compressed pages', async () => {
    const at = `${ROOT}/services/s:web/proxy`;
    assert.equal((await api.http('GET', at)).headers.location, `${at}/`);
    assert.equal((await api.http('GET', at)).code, 301);
    assert.equal((await api.http('GET', `${at}/moved`)).headers.location, `${at}/to/here?a=1`);
    assert.equal((await api.http('GET', `${at}/elsewhere`)).headers.location, 'http://example.com/');
    const wanted = `<a href="${at}/x">x</a> <a href="y">y</a> <img src='//other/z'> ünï <p title="/t">`;
    assert.equal((await api.http('GET', `${at}/page`)).text, wanted);
    const zipped = await new Promise<Buffer>((resolve, reject) => {
      const agent = new Agent({ ca: api.pki.caCert, ...api.admin });
      request({ host: '127.0.0.1', port: api.port, path: `${at}/zipped`, agent }, async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        agent.destroy();
        resolve(Buffer.concat(chunks));
      })
        .on('error', reject)
        .end();
    });
    assert.equal(gunzipSync(zipped).toString(), wanted);
  });

  it('sends an answer as it comes', async () => {
    const agent = new Agent({ ca: api.pki.caCert, ...api.admin });
    const times: number[] = [];
    const path = `${ROOT}/pods/p/proxy/slow`;
    await new Promise<void>((resolve, reject) => {
      request({ host: '127.0.0.1', port: api.port, path, agent }, (response) => {
        response.on('data', () => times.push(Date.now()));
        response.on('end', resolve);
      })
        .on('error', reject)
        .end();
    });
    agent.destroy();
    assert.ok(times.length >= 2 && times.at(-1)! - times[0]! > 200, `pieces at ${times}`);
  });

  it('reaches ports of Services by name and number, and TLS backends', async () => {
    for (const [name, text] of [
      ['s:web', 'ok'],
      ['s:80', 'ok'],
      ['http:s:80', 'ok'],
      ['https:s:tls', 'over TLS'],
      ['https:s:443', 'over TLS'],
    ])
      assert.equal((await api.http('GET', `${ROOT}/services/${name}/proxy/`)).text, text, name);
    const pod = await api.http('GET', `${ROOT}/pods/https:p:${securePort}/proxy/`);
    assert.equal(pod.text, 'over TLS');
  });

  it('lets go of a backend that is silent instead of speaking TLS when the client goes', async () => {
    const silent = createTcpServer();
    const reached = once(silent, 'connection');
    const path = `${ROOT}/pods/https:p:${await listen(silent)}/proxy/`;
    const agent = new Agent({ ca: api.pki.caCert, ...api.admin });
    const asking = request({ host: '127.0.0.1', port: api.port, path, agent }).end();
    asking.on('error', () => {});
    const [socket] = (await reached) as [Socket];
    const closed = once(socket.resume(), 'close');
    asking.destroy();
    await closed;
    agent.destroy();
    silent.close();
  });

  it('says in upstream’s words what can not be reached', async () => {
    for (const [path, code, message] of [
      ['pods/none/proxy/', 404, 'pods "none" not found'],
      ['pods/a:b:c/proxy/', 400, 'invalid pod request "a:b:c"'],
      ['services/s/proxy/', 503, 'no endpoints available for service "s"'],
      ['services/s:99/proxy/', 503, 'no service port 99 found for service "s"'],
      ['services/empty:80/proxy/', 503, 'no endpoints available for service "empty"'],
    ] as const) {
      const reply = await api.http('GET', `${ROOT}/${path}`);
      assert.deepEqual([reply.code, reply.json.message], [code, message]);
    }
    const plain = await api.http('GET', `${ROOT}/pods/https:p:${port}/proxy/`);
    const wrong = 'error trying to reach service: http: server gave HTTP response to HTTPS client';
    assert.deepEqual([plain.code, plain.json.message], [503, wrong]);
    const refused = await api.http('GET', `${ROOT}/pods/p:1/proxy/`);
    assert.equal(refused.code, 503);
    assert.match(refused.json.message, /^error trying to reach service: /);
  });

  it('needs the right to the subresource', async () => {
    const { code, json } = await api.http('GET', `${ROOT}/pods/p/proxy/`, {
      headers: { 'impersonate-user': 'eve' },
    });
    assert.equal(code, 403);
    assert.match(json.message, /cannot get resource "pods\/proxy"/);
  });

  it('carries WebSockets', async () => {
    const url = `wss://127.0.0.1:${api.port}${ROOT}/pods/p/proxy/ws`;
    const socket = new WebSocket(url, { ca: api.pki.caCert, ...api.admin });
    const answer = await new Promise<string>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('open', () => socket.send('hello'));
      socket.on('message', (message) => resolve(message.toString()));
    });
    socket.terminate();
    assert.equal(answer, 'echo hello');
  });
});
