/** What the proxy passes on, and what it answers itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { ask, Bench, hello, raw } from './harness.js';

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

  it('serves HTTP/1.0 without a host by rules without one', async () => {
    const got = await raw(bench, 'GET / HTTP/1.0\r\n\r\n');
    assert.match(got, /^HTTP\/1\.[01] 404 /);
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
});
