/** The proxy between real connections on loopback. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type RequestListener } from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import tls from 'node:tls';
import { pino } from 'pino';
import { WebSocket, WebSocketServer } from 'ws';
import type { EndpointSlice, Ingress, Secret, Service } from '#types';
import { Backends } from '../../../../src/network/ingress/backends.js';
import { Certificates } from '../../../../src/network/ingress/certificates.js';
import { IngressMetrics } from '../../../../src/network/ingress/metrics.js';
import { IngressProxy } from '../../../../src/network/ingress/proxy.js';
import { mergeIngresses } from '../../../../src/network/ingress/routes.js';
import { selfSigned } from '../../../../src/network/ingress/self-signed.js';
import { Upstreams } from '../../../../src/network/ingress/upstream.js';

const ENDPOINT_PORT_NAME = 'web';
type Listener = (key: string, object: any, old: any) => void;

/** A proxy for one Ingress of `app.test` whose Service has the endpoints that `serve` is told. */
class Bench {
  readonly #closers: (() => unknown)[] = [];
  readonly #listeners = new Map<string, Listener[]>();
  readonly metrics = new IngressMetrics();
  readonly upstreams = new Upstreams();
  readonly certificates: Certificates;
  readonly proxy: IngressProxy;
  slices: EndpointSlice[] = [];
  secret: Secret | undefined;
  port = 0;
  tlsPort = 0;
  readonly refused: string[] = [];

  constructor(
    readonly spec: Partial<NonNullable<Service['spec']>> & { appProtocol?: string } = {},
    readonly annotations: Record<string, string> = {},
  ) {
    const { appProtocol, ...rest } = spec;
    const service = {
      metadata: { name: 'app', namespace: 'default' },
      spec: { ports: [{ name: ENDPOINT_PORT_NAME, port: 80, protocol: 'TCP', appProtocol }], ...rest },
    } as Service;
    const view = { service: () => service, slices: () => this.slices };
    const source = {
      on: (resource: string, listener: Listener) =>
        void this.#listeners.set(resource, [...(this.#listeners.get(resource) ?? []), listener]),
    };
    const backends = new Backends(view, source, (one) => this.upstreams.dropIdle(one), Date.now);
    this.certificates = new Certificates({ secret: () => this.secret, unusable: () => {} });
    const routes = mergeIngresses([this.ingress]);
    this.proxy = new IngressProxy({
      ...{ backends, upstreams: this.upstreams, certificates: this.certificates, metrics: this.metrics },
      routes: () => routes,
      logger: pino({ level: 'silent' }),
      accessLog: false,
      refused: (_, why) => this.refused.push(why),
      timeouts: { answer: 1000, stall: 1000, requestBody: 500 },
    });
  }

  get ingress(): Ingress {
    const backend = { service: { name: 'app', port: { number: 80 } } };
    return {
      metadata: { name: 'app', namespace: 'default', annotations: this.annotations },
      spec: {
        tls: [{ hosts: ['app.test'], secretName: 's' }],
        rules: [{ host: 'app.test', http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }],
      },
    } as Ingress;
  }

  async open(): Promise<this> {
    this.port = await this.proxy.listenHttp(0);
    this.tlsPort = await this.proxy.listenHttps(0);
    return this;
  }

  /** A backend; its port. */
  async backend(listener: RequestListener): Promise<http.Server & { port: number }> {
    const server = http.createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return Object.assign(server, { port: (server.address() as AddressInfo).port });
  }

  /** Each endpoint has a slice of its own, as each has a port of its own. */
  serve(...ports: (number | { port: number; conditions: object })[]): void {
    const before = this.slices;
    this.slices = ports.map((one) => {
      const { port, conditions } = typeof one === 'number' ? { port: one, conditions: { ready: true } } : one;
      return {
        metadata: { name: `s${port}`, namespace: 'default', labels: { 'kubernetes.io/service-name': 'app' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['127.0.0.1'], conditions }],
        ports: [{ name: ENDPOINT_PORT_NAME, port }],
      } as unknown as EndpointSlice;
    });
    for (const listener of this.#listeners.get('endpointslices') ?? [])
      for (const slice of [...before, ...this.slices]) listener('', slice, undefined);
  }

  async useCertificate(version: string): Promise<string> {
    const { cert, key } = await selfSigned();
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const metadata = { name: 's', namespace: 'default', uid: 'u', resourceVersion: version };
    this.secret = {
      metadata,
      data: { 'tls.crt': base64(cert), 'tls.key': base64(key) },
    } as unknown as Secret;
    this.certificates.update([this.ingress]);
    await this.proxy.certificatesChanged();
    return cert;
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
    this.upstreams.close();
    await this.proxy.close();
  }
}

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

function ask(
  bench: Bench,
  path: string,
  options: http.RequestOptions & { body?: string; host?: string } = {},
): Promise<Answer> {
  const { body, host = 'app.test', headers, ...rest } = options;
  return new Promise((resolve, reject) => {
    const request = http.request(
      { port: bench.port, path, agent: false, ...rest, headers: { ...(headers as object), host } },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: text }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** Sends bytes as they are; what comes back until the proxy closes. */
async function raw(bench: Bench, text: string): Promise<string> {
  const socket = net.connect(bench.port, '127.0.0.1');
  socket.write(text);
  let got = '';
  for await (const chunk of socket) got += chunk;
  return got;
}

const hello: RequestListener = (_, res) => res.end('hello');

describe('the ingress proxy', function () {
  this.timeout(10_000);
  let bench: Bench;
  beforeEach(async () => {
    bench = await new Bench().open();
  });
  afterEach(() => bench.close());

  it('passes a request on with where it came from, and the answer back', async () => {
    const backend = await bench.backend((req, res) => {
      res.setHeader('set-cookie', ['a=1', 'b=2']);
      res.writeHead(201, { 'x-powered-by': 'tests' });
      res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers }));
    });
    bench.serve(backend.port);
    const { status, headers, body } = await ask(bench, '/a/b?c=d%20e', { method: 'DELETE' });
    const seen = JSON.parse(body);
    assert.equal(status, 201);
    assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
    assert.equal(headers['x-powered-by'], 'tests');
    assert.deepEqual([seen.method, seen.url, seen.headers.host], ['DELETE', '/a/b?c=d%20e', 'app.test']);
    assert.equal(seen.headers['x-forwarded-proto'], 'http');
    assert.equal(seen.headers['x-forwarded-port'], String(bench.port));
    assert.match(seen.headers['x-real-ip'], /^(127\.0\.0\.1|::1)$/);
  });

  it('answers 404 where there is no rule, and 503 where nobody is ready', async () => {
    const missing = await ask(bench, '/', { host: 'other.test' });
    assert.deepEqual([missing.status, missing.body], [404, 'default backend - 404\n']);
    assert.equal((await ask(bench, '/')).status, 503);
    assert.match(bench.metrics.text(), /requests_total\{ingress="default\/app",status="5xx"\} 1/);
  });

  it('streams bodies both ways, no faster than they are read', async () => {
    const size = 24 << 20;
    let received = 0;
    const backend = await bench.backend((req, res) => {
      res.writeHead(200);
      req.on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
      req.pipe(res);
    });
    bench.serve(backend.port);
    const request = http.request({
      port: bench.port,
      method: 'POST',
      headers: { host: 'app.test' },
      agent: false,
    });
    let sent = 0;
    const piece = Buffer.alloc(64 << 10);
    const write = () => {
      while (sent < size) {
        sent += piece.length;
        if (!request.write(piece)) return void request.once('drain', write);
      }
      request.end();
    };
    write();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    await wait(300);
    assert.ok(received < size, 'a client that does not read holds the backend back');
    let back = 0;
    for await (const chunk of response) back += chunk.length;
    assert.deepEqual([received, back], [size, size]);
  });

  it('lets the first piece of an answer through before the last is there', async () => {
    const backend = await bench.backend((_, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.flushHeaders();
      setTimeout(() => res.write('one'), 50);
    });
    bench.serve(backend.port);
    const request = http.get({ port: bench.port, headers: { host: 'app.test' }, agent: false });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    const [chunk] = await once(response, 'data');
    assert.equal(String(chunk), 'one');
    request.destroy();
  });

  it('tells the backend when the client is gone', async () => {
    let gone = () => {};
    const left = new Promise<void>((resolve) => {
      gone = resolve;
    });
    const backend = await bench.backend((req) => req.on('close', gone));
    bench.serve(backend.port);
    const request = http.get({ port: bench.port, headers: { host: 'app.test' }, agent: false });
    request.on('error', () => {});
    await once(backend, 'request');
    request.destroy();
    await left;
  });

  it('goes to another endpoint where the first refuses, bodies included', async () => {
    const closed = await bench.backend(hello);
    closed.close();
    const backend = await bench.backend((req, res) => req.pipe(res));
    bench.serve(closed.port, backend.port);
    for (let i = 0; i < 6; i++) {
      const { status, body } = await ask(bench, '/', { method: 'POST', body: `body ${i}` });
      assert.deepEqual([status, body], [200, `body ${i}`]);
    }
    assert.match(bench.metrics.text(), /keelson_ingress_retries_total [1-9]/);
  });

  it('repeats what is idempotent when an endpoint breaks off, and nothing else', async () => {
    let asked = 0;
    const broken = await bench.backend((req) => {
      asked++;
      req.socket.destroy();
    });
    const backend = await bench.backend(hello);
    bench.serve(broken.port, backend.port);
    for (let i = 0; i < 4; i++) assert.equal((await ask(bench, '/')).status, 200);
    assert.ok(asked > 0);
    bench.serve(broken.port);
    asked = 0;
    assert.equal((await ask(bench, '/', { method: 'POST', body: 'x' })).status, 502);
    assert.equal(asked, 1);
  });

  it('gives up an endpoint that does not answer with 504', async () => {
    const backend = await bench.backend(() => {});
    bench.serve(backend.port);
    assert.equal((await ask(bench, '/')).status, 504);
  });

  it('breaks off an answer that was broken off', async () => {
    const backend = await bench.backend((_, res) => {
      res.writeHead(200, { 'content-length': '100' });
      res.write('part');
      setTimeout(() => res.destroy(), 50);
    });
    bench.serve(backend.port);
    await assert.rejects(ask(bench, '/'), /aborted|hang up|reset/i);
  });

  it('uses endpoints that terminate only while no other is ready', async () => {
    const old = await bench.backend((_, res) => res.end('old'));
    const fresh = await bench.backend((_, res) => res.end('fresh'));
    const draining = { port: old.port, conditions: { ready: false, serving: true, terminating: true } };
    bench.serve(draining);
    assert.equal((await ask(bench, '/')).body, 'old');
    bench.serve(draining, fresh.port);
    for (let i = 0; i < 3; i++) assert.equal((await ask(bench, '/')).body, 'fresh');
    bench.serve({ port: old.port, conditions: { ready: false, serving: false, terminating: true } });
    assert.equal((await ask(bench, '/')).status, 503);
  });

  it('keeps connections to backends', async () => {
    let connections = 0;
    const backend = await bench.backend(hello);
    backend.on('connection', () => connections++);
    bench.serve(backend.port);
    for (let i = 0; i < 5; i++) await ask(bench, '/');
    assert.equal(connections, 1);
  });

  const malformed: [what: string, text: string, status: number][] = [
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: app.test\r\nHost: b\r\nConnection: close\r\n\r\n', 400],
    ['a bad host', 'GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n', 400],
    ['a bad escape', 'GET /%zz HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n', 400],
    [
      'length and chunks',
      'POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['an endless header', `GET / HTTP/1.1\r\nHost: app.test\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
  ];
  for (const [what, text, status] of malformed)
    it(`answers ${what} with ${status}, and closes`, async () => {
      const backend = await bench.backend(hello);
      bench.serve(backend.port);
      assert.match(await raw(bench, text), new RegExp(`^HTTP/1\\.1 ${status} `));
    });

  it('gives up a body that does not come', async () => {
    const backend = await bench.backend((req) => req.resume());
    bench.serve(backend.port);
    const answer = await raw(bench, 'POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100\r\n\r\nabc');
    assert.match(answer, /^HTTP\/1\.1 408 /);
  });

  it('serves HTTP/1.0 without a host by rules without one', async () => {
    const got = await raw(bench, 'GET / HTTP/1.0\r\n\r\n');
    assert.match(got, /^HTTP\/1\.[01] 404 /);
  });

  it('closes what begins no handshake, and goes on', async () => {
    const socket = net.connect(bench.tlsPort, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\n\r\n');
    socket.on('error', () => {});
    await once(socket, 'close');
    await bench.useCertificate('1');
  });

  it('takes absolute request targets, and their host', async () => {
    const backend = await bench.backend((req, res) => res.end(req.url));
    bench.serve(backend.port);
    const got = await raw(
      bench,
      'GET http://app.test/x?y HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n',
    );
    assert.match(got, /\r\n\r\n(\d+\r\n)?\/x\?y/);
  });

  it('joins WebSockets, and passes refusals on', async () => {
    const backend = await bench.backend(hello);
    const sockets = new WebSocketServer({ noServer: true });
    backend.on('upgrade', (req, socket, head) => {
      if (req.url === '/no') return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      sockets.handleUpgrade(req, socket, head, (ws) => {
        ws.on('message', (data) => ws.send(`echo ${data} ${req.headers['x-forwarded-proto']}`));
      });
    });
    bench.serve(backend.port);
    const ws = new WebSocket(`ws://127.0.0.1:${bench.port}/`, { headers: { host: 'app.test' } });
    await once(ws, 'open');
    ws.send('hi');
    const [message] = await once(ws, 'message');
    assert.equal(String(message), 'echo hi http');
    ws.close();
    await once(ws, 'close');
    const refused = new WebSocket(`ws://127.0.0.1:${bench.port}/no`, { headers: { host: 'app.test' } });
    const [error] = await once(refused, 'error');
    assert.match(String(error), /403/);
  });

  it('joins WebSockets within HTTP/2, beside its other streams, and passes refusals on', async () => {
    const backend = await bench.backend(hello);
    const sockets = new WebSocketServer({ noServer: true });
    backend.on('upgrade', (req, socket, head) => {
      if (req.url === '/no') return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      sockets.handleUpgrade(req, socket, head, (ws) => {
        ws.on('message', (data) => ws.send(`echo ${data} ${req.headers['x-forwarded-proto']}`));
        ws.on('close', () => ws.terminate());
      });
    });
    bench.serve(backend.port);
    const ca = await bench.useCertificate('1');
    const session = http2.connect('https://app.test', {
      createConnection: () =>
        tls.connect({
          ...{ host: '127.0.0.1', port: bench.tlsPort, servername: 'app.test', ca },
          ...{ checkServerIdentity: () => undefined, ALPNProtocols: ['h2'] },
        }),
    });
    const [settings] = await once(session, 'remoteSettings');
    assert.equal(settings.enableConnectProtocol, true);
    const open = (path: string, protocol = 'websocket') =>
      session.request(
        { ':method': 'CONNECT', ':protocol': protocol, ':path': path, 'sec-websocket-version': '13' },
        { endStream: false },
      );
    const joined = open('/');
    const [accepted] = await once(joined, 'response');
    assert.equal(accepted[':status'], 200);
    assert.equal(accepted['sec-websocket-accept'], undefined);
    // A text frame of "hi", masked with zeros.
    joined.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    const [frame] = await once(joined, 'data');
    assert.equal(String(frame.subarray(2)), 'echo hi https');
    const other = session.request({ ':path': '/' });
    assert.equal((await once(other, 'response'))[0][':status'], 200);
    other.resume();
    joined.end();
    await once(joined, 'close');

    const refused = open('/no');
    assert.equal((await once(refused, 'response'))[0][':status'], 403);
    let text = '';
    for await (const chunk of refused) text += chunk;
    assert.equal(text, 'no');
    const unknown = open('/', 'webtransport');
    assert.equal((await once(unknown, 'response'))[0][':status'], 405);
    unknown.resume();
    session.close();
  });

  it('speaks HTTP/2 and HTTP/1.1 over TLS, by the certificate of the name', async () => {
    const backend = await bench.backend((req, res) => {
      res.setHeader('x-proto', String(req.headers['x-forwarded-proto']));
      req.pipe(res);
    });
    bench.serve(backend.port);
    const ca = await bench.useCertificate('1');
    const at = {
      host: '127.0.0.1',
      port: bench.tlsPort,
      servername: 'app.test',
      ca,
      checkServerIdentity: () => undefined,
    };
    const session = http2.connect('https://app.test', {
      createConnection: () => tls.connect({ ...at, ALPNProtocols: ['h2'] }),
    });
    const stream = session.request({ ':method': 'POST', ':path': '/x', cookie: 'a=1' });
    stream.end('over h2');
    const [headers] = await once(stream, 'response');
    let body = '';
    for await (const chunk of stream) body += chunk;
    assert.deepEqual([headers[':status'], headers['x-proto'], body], [200, 'https', 'over h2']);
    const missing = session.request({ ':path': '/', ':authority': 'other.test' });
    assert.equal((await once(missing, 'response'))[0][':status'], 404);
    missing.resume();
    session.close();

    const plain = tls.connect(at);
    plain.write('GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n');
    let text = '';
    for await (const chunk of plain) text += chunk;
    assert.match(text, /^HTTP\/1\.1 200 /);
  });

  it('breaks off an HTTP/2 answer that was broken off, and no other of the connection', async () => {
    const backend = await bench.backend((req, res) => {
      if (req.url === '/') return res.end('whole');
      res.write('part');
      setTimeout(() => res.destroy(), 50);
    });
    bench.serve(backend.port);
    const session = http2.connect(`https://127.0.0.1:${bench.tlsPort}`, { rejectUnauthorized: false });
    const broken = session.request({ ':path': '/broken', ':authority': 'app.test' });
    broken.resume();
    await assert.rejects(once(broken, 'end'), /INTERNAL_ERROR/);
    const whole = session.request({ ':path': '/', ':authority': 'app.test' });
    let body = '';
    for await (const chunk of whole) body += chunk;
    assert.equal(body, 'whole');
    session.close();
  });

  it('lets a stream of HTTP/2 end, however many others of its connection the client gives up', async () => {
    let end = () => {};
    const backend = await bench.backend((req, res) => {
      if (req.url !== '/long') return;
      res.write('be');
      end = () => res.end('gun');
    });
    bench.serve(backend.port);
    const session = http2.connect(`https://127.0.0.1:${bench.tlsPort}`, { rejectUnauthorized: false });
    let code: number | undefined;
    session.on('goaway', (given) => {
      code ??= given;
    });
    const long = session.request({ ':path': '/long', ':authority': 'app.test' });
    await once(long, 'response');
    for (let i = 0; i < 1200 && code === undefined; i += 50) {
      const given = Array.from({ length: 50 }, () =>
        session.request({ ':path': '/', ':authority': 'app.test' }),
      );
      for (const stream of given) stream.on('error', () => {}).close(http2.constants.NGHTTP2_CANCEL);
      await Promise.all(given.map((stream) => stream.destroyed || once(stream, 'close')));
      if (!session.closed) await new Promise((resolve) => session.ping(resolve));
    }
    assert.equal(code, http2.constants.NGHTTP2_NO_ERROR, 'the client is asked to open another connection');
    end();
    let body = '';
    for await (const chunk of long) body += chunk;
    assert.equal(body, 'begun');
    session.destroy();
  });

  it('counts requests by Ingress and status', async () => {
    const backend = await bench.backend(hello);
    bench.serve(backend.port);
    await ask(bench, '/');
    await ask(bench, '/', { host: 'other.test' });
    const text = bench.metrics.text();
    assert.match(text, /^keelson_ingress_requests_total\{ingress="default\/app",status="2xx"\} 1$/m);
    assert.match(text, /^keelson_ingress_requests_total\{ingress="",status="4xx"\} 1$/m);
    assert.match(text, /^keelson_ingress_response_bytes_total\{ingress="default\/app",status="2xx"\} 5$/m);
    bench.metrics.keep(new Set());
    assert.doesNotMatch(bench.metrics.text(), /default\/app/);
  });

  it('serves a new certificate to new connections while old ones go on', async () => {
    const backend = await bench.backend(hello);
    bench.serve(backend.port);
    const fingerprint = async () => {
      const socket = tls.connect({ port: bench.tlsPort, servername: 'app.test', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      return { socket, print: socket.getPeerCertificate().fingerprint256 };
    };
    await bench.useCertificate('1');
    const old = await fingerprint();
    await bench.useCertificate('2');
    const fresh = await fingerprint();
    assert.notEqual(old.print, fresh.print);
    old.socket.write('GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n');
    let text = '';
    for await (const chunk of old.socket) text += chunk;
    assert.match(text, /hello/);
    fresh.socket.destroy();
  });
});

describe('ingress proxy: backends of other kinds', () => {
  let bench: Bench;
  const open = async (...given: ConstructorParameters<typeof Bench>) => {
    bench = await new Bench(...given).open();
  };
  afterEach(() => bench.close());
  const status = async (path: string, method = 'GET') => {
    const request = http.request({ port: bench.port, path, method, headers: { host: 'app.test' } }).end();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    return [response.statusCode, response.headers.location];
  };

  for (const appProtocol of ['kubernetes.io/h2c', 'grpc'])
    it(`speaks HTTP/2 to ${appProtocol}: streams both ways, trailers, errors without a body`, async () => {
      await open({ appProtocol });
      const backend = http2.createServer().listen(0, '127.0.0.1');
      await once(backend, 'listening');
      const sessions = new Set<http2.ServerHttp2Session>();
      backend.on('session', (session) => sessions.add(session));
      backend.on('stream', (stream, headers) => {
        stream.on('error', () => {});
        if (headers[':path'] === '/bad') {
          stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true });
          return;
        }
        stream.respond({ ':status': 200, te: `${headers.te}` }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.pipe(stream);
      });
      bench.serve((backend.address() as AddressInfo).port);
      const session = http2.connect(`https://127.0.0.1:${bench.tlsPort}`, { rejectUnauthorized: false });
      const call = (path: string) =>
        session.request({ ':method': 'POST', ':path': path, ':authority': 'app.test', te: 'trailers' });

      const echo = call('/echo');
      echo.write('one');
      const [headers] = (await once(echo, 'response')) as [http2.IncomingHttpHeaders];
      assert.equal(headers[':status'], 200);
      const [first] = await once(echo, 'data');
      assert.equal(`${first}`, 'one');
      const trailers = once(echo, 'trailers');
      echo.end('two');
      const [second] = await once(echo, 'data');
      assert.equal(`${second}`, 'two');
      assert.equal((await trailers)[0]['grpc-status'], '0');

      const bad = call('/bad');
      bad.end();
      const [told, flags] = (await once(bad, 'response')) as [http2.IncomingHttpHeaders, number];
      assert.equal(told['grpc-status'], '5');
      assert.equal(flags & 1, 1, 'the headers are the whole answer');
      bad.resume();

      const calls = Array.from({ length: 50 }, async (_, i) => {
        const stream = call('/echo');
        stream.end(`${i}`);
        let body = '';
        for await (const piece of stream) body += piece;
        return body;
      });
      assert.deepEqual(
        await Promise.all(calls),
        calls.map((_, i) => `${i}`),
      );
      assert.equal(sessions.size, 1, 'on one connection');
      for (const one of sessions) one.destroy();
      const again = call('/echo');
      again.end('more');
      await once(again, 'response');
      again.resume();
      session.destroy();
      for (const one of sessions) one.destroy();
      backend.close();
    });

  it('goes to another endpoint when one of HTTP/2 is gone', async () => {
    await open({ appProtocol: 'kubernetes.io/h2c' });
    const backend = http2.createServer((_, res) => void res.end('here')).listen(0, '127.0.0.1');
    await once(backend, 'listening');
    const gone = net.createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as AddressInfo;
    gone.close();
    bench.serve(port, (backend.address() as AddressInfo).port);
    for (let i = 0; i < 4; i++) assert.deepEqual(await status('/', 'POST'), [200, undefined]);
    backend.close();
  });

  it('refuses ExternalName, and says so', async () => {
    await open({ type: 'ExternalName', externalName: 'localhost' });
    assert.deepEqual(await status('/'), [503, undefined]);
    assert.match(bench.refused.join(), /the Service app is of type ExternalName/);
  });

  it('sends plain HTTP to HTTPS where the Ingress asks for it', async () => {
    await open({}, { 'keelson.dev/ssl-redirect': 'true' });
    assert.deepEqual(await status('/a?b=c'), [308, `https://app.test:${bench.tlsPort}/a?b=c`]);
    const backend = await bench.backend((_, res) => void res.end('here'));
    bench.serve(backend.port);
    const session = http2.connect(`https://127.0.0.1:${bench.tlsPort}`, { rejectUnauthorized: false });
    const stream = session.request({ ':path': '/', ':authority': 'app.test' });
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    assert.equal(headers[':status'], 200);
    session.destroy();
  });
});
