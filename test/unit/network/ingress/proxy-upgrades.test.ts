/** WebSockets and other upgrades. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { pipeline } from 'node:stream';
import tls from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { Bench, hello } from './harness.js';

/** A backend whose WebSockets tell what they hear; `/no` is refused. */
async function echoing(bench: Bench) {
  const backend = await bench.backend(hello);
  const sockets = new WebSocketServer({ noServer: true });
  backend.on('upgrade', (req, socket, head) => {
    if (req.url === '/no') return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    sockets.handleUpgrade(req, socket, head, (ws) => {
      ws.on('message', (data) => ws.send(`echo ${data} ${req.headers['x-forwarded-proto']}`));
      ws.on('close', () => ws.terminate());
    });
  });
  return backend;
}

describe('the ingress proxy: upgrades', function () {
  this.timeout(10_000);
  let bench: Bench;
  beforeEach(async () => {
    bench = await new Bench().open();
  });
  afterEach(() => bench.close());

  it('joins WebSockets, and passes refusals on', async () => {
    const backend = await echoing(bench);
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
    const backend = await echoing(bench);
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

  /** Speaks WebSocket by HTTP/1.1 and, if told, within HTTP/2, as one that takes HTTP/2 in plain text does. */
  const twoProtocols = async (isWithin: boolean) => {
    const seen: string[] = [];
    const sockets = new WebSocketServer({ noServer: true });
    const plain = http.createServer(hello).on('upgrade', (req, socket, head) => {
      seen.push('HTTP/1.1');
      sockets.handleUpgrade(req, socket, head, (ws) => ws.on('message', (data) => ws.send(`echo ${data}`)));
    });
    const modern = http2.createServer({ settings: { enableConnectProtocol: isWithin } });
    modern.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      seen.push(
        `${headers[':protocol']} ${headers[':path']} ${headers[':authority']} ${headers['sec-websocket-key']}`,
      );
      stream.respond(headers[':path'] === '/no' ? { ':status': 403 } : { ':status': 200 });
      if (headers[':path'] === '/no') stream.end('no');
      // What it is sent, from the first frame's text of two masked bytes on, as a frame of its own.
      else
        stream.once('data', (frame: Buffer) => {
          const text = Buffer.from([6, 7].map((i, at) => frame[i]! ^ frame[2 + at]!));
          stream.write(Buffer.concat([Buffer.from([0x81, 2]), text]));
        });
    });
    const ports = await Promise.all([plain, modern].map((server) => bench.listen(server as net.Server)));
    const server = net.createServer((socket) => {
      socket.once('data', (bytes) => {
        const { port } = ports[bytes.toString('latin1').startsWith('PRI ') ? 1 : 0]!;
        const inner = net.connect(port, '127.0.0.1').on('error', () => {});
        inner.write(bytes);
        pipeline(socket, inner, socket, () => inner.destroy());
      });
    });
    return { server, seen };
  };
  for (const isWithin of [true, false])
    it(`joins WebSockets to backends of h2c ${isWithin ? 'within HTTP/2' : 'by HTTP/1.1'}`, async () => {
      await bench.close();
      bench = await new Bench({ appProtocol: 'kubernetes.io/h2c' }).open();
      const { server, seen } = await twoProtocols(isWithin);
      bench.serve((await bench.listen(server)).port);
      const open = (path: string) =>
        new WebSocket(`ws://127.0.0.1:${bench.port}${path}`, { headers: { host: 'app.test' } });
      for (let i = 0; i < 2; i++) {
        const ws = open('/');
        await once(ws, 'open');
        ws.send('hi');
        const [message] = await once(ws, 'message');
        assert.equal(String(message), isWithin ? 'hi' : 'echo hi');
        ws.terminate();
      }
      const way = isWithin ? 'websocket / app.test undefined' : 'HTTP/1.1';
      assert.deepEqual(seen, [way, way]);
      if (!isWithin) return;
      const [error] = await once(open('/no'), 'error');
      assert.match(String(error), /403/);
    });

  it('serves requests that only offer HTTP/2, with their bodies, and those after them', async () => {
    const backend = await bench.backend((req, res) => {
      res.setHeader('x-upgrade', `${req.headers.upgrade} ${req.headers['http2-settings']}`);
      req.pipe(res);
    });
    bench.serve(backend.port);
    const offer = 'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';
    const socket = net.connect(bench.port, '127.0.0.1');
    for (const body of ['one', 'two']) {
      const head = `POST / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade, HTTP2-Settings\r\n${offer}`;
      socket.write(`${head}Content-Length: 3\r\n\r\n${body}`);
      let got = '';
      while (!got.includes('\r\n0\r\n\r\n')) got += (await once(socket, 'data'))[0];
      assert.match(got, /^HTTP\/1\.1 200 /);
      assert.match(got, /^x-upgrade: undefined undefined\r$/m);
      assert.ok(got.includes(`\r\n${body}\r\n`), got);
    }
    assert.match(bench.metrics.text(), /^keelson_ingress_connections 1$/m);
    socket.destroy();
  });

  it('says 503 and 502 to upgrades without an endpoint that could take them', async () => {
    for (const appProtocol of [undefined, 'kubernetes.io/h2c']) {
      await bench.close();
      bench = await new Bench({ appProtocol }).open();
      const refused = async () =>
        String(
          (
            await once(
              new WebSocket(`ws://127.0.0.1:${bench.port}/`, { headers: { host: 'app.test' } }),
              'error',
            )
          )[0],
        );
      assert.match(await refused(), /503/);
      const gone = await bench.backend(hello);
      gone.close();
      bench.serve(gone.port);
      assert.match(await refused(), /502/);
    }
  });
});
