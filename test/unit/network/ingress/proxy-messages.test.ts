/** How bodies are framed on both sides, and what of a message reaches the other. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { ask, Bench, hello, raw } from './harness.js';

describe('the ingress proxy: messages', function () {
  this.timeout(10_000);
  let bench: Bench;
  beforeEach(async () => {
    bench = await new Bench().open();
  });
  afterEach(() => bench.close());

  const answers: [what: string, answer: string, closes: boolean, status: number, body: string][] = [
    ['ends with its connection', 'HTTP/1.0 200 OK\r\n\r\nall of it', true, 200, 'all of it'],
    ['has a length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', false, 200, 'ok'],
    ['has no body', 'HTTP/1.1 204 No Content\r\n\r\n', false, 204, ''],
    ['has bare line feeds', 'HTTP/1.1 201 Created\nContent-Length: 2\n\nok', false, 201, 'ok'],
    [
      'comes after hints',
      'HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n',
      false,
      202,
      '',
    ],
    ['is none', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', false, 502, '502 Bad Gateway\n'],
    [
      'has two lengths',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
      false,
      502,
      '502 Bad Gateway\n',
    ],
    [
      'changes protocols unasked',
      'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n',
      false,
      502,
      '502 Bad Gateway\n',
    ],
    ['is not there at all', '', true, 502, '502 Bad Gateway\n'],
  ];
  for (const [what, answer, closes, status, body] of answers)
    it(`takes an answer that ${what}`, async () => {
      bench.serve((await bench.rawBackend(answer, closes)).port);
      const got = await ask(bench, '/');
      assert.deepEqual([got.status, got.body], [status, body]);
    });

  it('keeps chunks, trailers and names of headers', async () => {
    const answer =
      'HTTP/1.1 200 OK\r\nX-Name: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n';
    bench.serve((await bench.rawBackend(answer)).port);
    const got = await raw(bench, 'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n');
    assert.match(got, /^X-Name: a\r$/m);
    assert.match(got, /\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n$/);
  });

  const requests: [what: string, text: string, sent: RegExp][] = [
    ['a length', 'Content-Length: 3\r\n\r\nabc', /\r\nContent-Length: 3\r\n[\s\S]*\r\n\r\nabc$/],
    [
      'chunks',
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      /\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/,
    ],
    ['no body', '\r\n', /\r\nContent-Length: 0\r\n\r\n$/],
  ];
  for (const [what, text, sent] of requests)
    it(`passes on a request with ${what}`, async () => {
      const backend = await bench.rawBackend('');
      bench.serve(backend.port);
      const asked = raw(bench, `POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n${text}`);
      // It is never answered: all of it is there by the time it is given up.
      assert.match(await asked, /^HTTP\/1\.1 504 /);
      assert.match(backend.sent(), /^POST \/ HTTP\/1\.1\r\nHost: app\.test\r\n/);
      assert.match(backend.sent(), sent);
    });

  it('answers HEAD with the headers of GET, and goes on with the connection', async () => {
    const backend = await bench.backend((_, res) => {
      res.writeHead(200, { 'content-length': 5 });
      res.end('hello');
    });
    bench.serve(backend.port);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (const method of ['HEAD', 'GET', 'HEAD']) {
      const got = await ask(bench, '/', { method, agent });
      assert.deepEqual([got.headers['content-length'], got.body], ['5', method === 'GET' ? 'hello' : '']);
    }
    agent.destroy();
  });

  it('asks for a body itself that waits to be asked for', async () => {
    const backend = await bench.backend((req, res) => {
      res.setHeader('x-expect', `${req.headers.expect}`);
      req.pipe(res);
    });
    bench.serve(backend.port);
    const headers = { host: 'app.test', expect: '100-continue' };
    const request = http.request({ port: bench.port, method: 'POST', headers, agent: false });
    request.flushHeaders();
    await once(request, 'continue');
    request.end('body');
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    let body = '';
    for await (const chunk of response) body += chunk;
    assert.deepEqual([response.headers['x-expect'], body], ['undefined', 'body']);
  });

  it('passes an answer on that comes before the body is read', async () => {
    const backend = await bench.backend((_, res) => res.writeHead(413).end('too large'));
    bench.serve(backend.port);
    const got = await ask(bench, '/', { method: 'POST', body: 'x'.repeat(100_000) });
    assert.deepEqual([got.status, got.body], [413, 'too large']);
  });

  it('uses no connection again that the endpoint closes, or that carries more than was asked for', async () => {
    const more =
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad';
    bench.serve((await bench.rawBackend(more)).port);
    for (let i = 0; i < 3; i++) assert.equal((await ask(bench, '/')).body, 'ok');
    const backend = await bench.backend(hello);
    backend.keepAliveTimeout = 1;
    bench.serve(backend.port);
    for (let i = 0; i < 3; i++) assert.equal((await ask(bench, '/', { method: 'POST' })).status, 200);
  });
});
