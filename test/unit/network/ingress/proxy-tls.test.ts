/** HTTPS with HTTP/2, and its certificates. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import tls from 'node:tls';
import { Bench, hello } from './harness.js';

describe('the ingress proxy: TLS and HTTP/2', function () {
  this.timeout(10_000);
  let bench: Bench;
  beforeEach(async () => {
    bench = await new Bench().open();
  });
  afterEach(() => bench.close());

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

  it('answers on a connection with as many unread answers as it may have', async () => {
    const large = Buffer.alloc(1 << 20);
    const backend = await bench.backend((req, res) => res.end(req.url === '/large' ? large : 'small'));
    bench.serve(backend.port);
    const session = http2.connect(`https://127.0.0.1:${bench.tlsPort}`, { rejectUnauthorized: false });
    const { maxConcurrentStreams = 0 } = (await once(session, 'remoteSettings'))[0];
    assert.equal(maxConcurrentStreams, 128);
    const ask = (path: string) => session.request({ ':path': path, ':authority': 'app.test' });
    const unread = Array.from({ length: maxConcurrentStreams - 1 }, () => ask('/large'));
    // They are given up after a while, as nobody reads them.
    await Promise.all(
      unread.map((stream) =>
        once(
          stream.on('error', () => {}),
          'response',
        ),
      ),
    );
    for (let i = 0; i < 10; i++) {
      let body = '';
      for await (const chunk of ask('/')) body += chunk;
      assert.equal(body, 'small');
    }
    session.destroy();
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
