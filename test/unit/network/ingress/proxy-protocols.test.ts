/** Backends that speak other protocols, or are none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { Bench } from './harness.js';

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
