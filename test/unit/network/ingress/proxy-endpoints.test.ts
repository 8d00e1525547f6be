/** Which endpoint a request goes to, and what becomes of it when that fails. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { ask, Bench, hello } from './harness.js';

describe('the ingress proxy: endpoints', function () {
  this.timeout(10_000);
  let bench: Bench;
  beforeEach(async () => {
    bench = await new Bench().open();
  });
  afterEach(() => bench.close());

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

  it('asks an endpoint again that closed a kept connection just then, but for what may not be repeated', async () => {
    let connections = 0;
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
    const backend = net.createServer((socket) => {
      connections++;
      socket.once('data', () => {
        socket.write(answer);
        socket.once('data', () => socket.destroy());
      });
    });
    bench.serve((await bench.listen(backend)).port);
    for (let i = 0; i < 4; i++) assert.equal((await ask(bench, '/')).status, 200);
    assert.equal(connections, 4);
    assert.equal((await ask(bench, '/', { method: 'POST', body: 'x' })).status, 502);
  });
});
