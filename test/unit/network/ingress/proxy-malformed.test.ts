/** Requests that are none, or that are to be read in two ways. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { Bench, hello, raw } from './harness.js';

describe('the ingress proxy: malformed requests', function () {
  this.timeout(10_000);
  let bench: Bench;
  beforeEach(async () => {
    bench = await new Bench().open();
  });
  afterEach(() => bench.close());

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
    [
      'another coding',
      'POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      501,
    ],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      400,
    ],
    ['a bare line feed', 'GET / HTTP/1.1\r\nHost: app.test\nX: y\r\nConnection: close\r\n\r\n', 400],
    ['a space before a colon', 'GET / HTTP/1.1\r\nHost : app.test\r\n\r\n', 400],
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

  it('closes what begins no handshake, and goes on', async () => {
    const socket = net.connect(bench.tlsPort, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\n\r\n');
    socket.on('error', () => {});
    await once(socket, 'close');
    await bench.useCertificate('1');
  });
});
