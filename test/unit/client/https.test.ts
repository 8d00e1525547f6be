/** The HTTP transport against a server that behaves well, and badly. */
import assert from 'node:assert/strict';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { StatusError } from '../../../src/api/machinery/status.js';
import { ConnectionError, type HttpsTransportOptions, httpsTransport } from '../../../src/client/https.js';
import { jsonLines } from '../../../src/client/lines.js';
import type { Transport } from '../../../src/client/transport.js';

describe('httpsTransport', () => {
  let server: Server;
  let address: string;
  let handle: RequestListener;
  let transport: Transport;
  let connections: Set<Socket>;
  const open = (options: Partial<HttpsTransportOptions> = {}) => {
    transport = httpsTransport({ server: address, ...options });
    return transport;
  };

  beforeEach(async () => {
    connections = new Set();
    server = createServer((request, response) => handle(request, response));
    server.on('connection', (socket) => connections.add(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    await transport?.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const json = (response: ServerResponse, code: number, value: unknown) =>
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  const bodyOf = async (request: IncomingMessage) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    return text;
  };

  it('sends and receives JSON, and freezes what it got', async () => {
    handle = async (request, response) => {
      const { method, url, headers } = request;
      json(response, 200, {
        method,
        url,
        type: headers['content-type'],
        auth: headers.authorization,
        body: await bodyOf(request),
      });
    };
    const answer = await open({ token: () => 'secret' }).request<any>({
      method: 'PATCH',
      path: '/api/v1/x',
      query: { labelSelector: 'a=b,c!=d' },
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { ä: 1 },
    });
    assert.deepEqual(answer, {
      method: 'PATCH',
      url: '/api/v1/x?labelSelector=a%3Db%2Cc%21%3Dd',
      type: 'application/merge-patch+json',
      auth: 'Bearer secret',
      body: '{"ä":1}',
    });
    assert.ok(Object.isFrozen(answer));
  });

  it('keeps its connection', async () => {
    handle = (_, response) => json(response, 200, {});
    open();
    for (let i = 0; i < 5; i++) await transport.request({ method: 'GET', path: '/' });
    assert.equal(connections.size, 1);
  });

  it('reads again on a new connection when the server has closed the kept one', async () => {
    handle = (_, response) => json(response, 200, {});
    open();
    await transport.request({ method: 'GET', path: '/' });
    // The first request on the kept connection is answered by closing it.
    handle = (request) => {
      handle = (_, response) => json(response, 200, { again: true });
      request.socket.resetAndDestroy();
    };
    assert.deepEqual(await transport.request({ method: 'GET', path: '/' }), { again: true });
    handle = (request) => request.socket.resetAndDestroy();
    await assert.rejects(transport.request({ method: 'POST', path: '/', body: {} }), ConnectionError);
    const before = connections.size;
    await assert.rejects(transport.request({ method: 'GET', path: '/' }), ConnectionError);
    assert.equal(connections.size, before + 1, 'a new connection that fails is not tried again');
  });

  it('rejects with the Status that the server sent', async () => {
    handle = (_, response) =>
      json(response, 404, {
        kind: 'Status',
        status: 'Failure',
        reason: 'NotFound',
        code: 404,
        message: 'pods "a" not found',
        details: { name: 'a' },
      });
    await assert.rejects(open().request({ method: 'GET', path: '/' }), (error) => {
      assert.ok(error instanceof StatusError);
      assert.deepEqual(
        [error.code, error.reason, error.message, error.details],
        [404, 'NotFound', 'pods "a" not found', { name: 'a' }],
      );
      return true;
    });
  });

  it('makes a Status of an answer that is none', async () => {
    handle = (_, response) => response.writeHead(503).end('overloaded\n');
    const expected = { code: 503, reason: 'ServiceUnavailable', message: 'overloaded' };
    await assert.rejects(open().request({ method: 'GET', path: '/' }), expected);
  });

  it('says that the server can not be reached, and where', async () => {
    const unused = httpsTransport({ server: 'https://127.0.0.1:1' });
    await assert.rejects(unused.request({ method: 'GET', path: '/' }), (error) => {
      assert.ok(error instanceof ConnectionError && error.code === 'ECONNREFUSED');
      assert.match(
        error.message,
        /^the API server at https:\/\/127.0.0.1:1 can't be reached: connect ECONNREFUSED/,
      );
      return true;
    });
    await unused.close();
  });

  it('gives up when the server is silent', async () => {
    handle = () => {};
    await assert.rejects(
      open({ timeout: 50 }).request({ method: 'GET', path: '/' }),
      /no answer within 50 ms/,
    );
  });

  it('gives up when it is told to, with the reason', async () => {
    handle = () => {};
    const abort = new AbortController();
    const answer = open().request({ method: 'GET', path: '/', signal: abort.signal });
    setTimeout(() => abort.abort(new Error('enough')), 10);
    await assert.rejects(answer, /^Error: enough$/);
  });

  it('puts the path of the server before each', async () => {
    handle = (request, response) => json(response, 200, { url: request.url });
    const answer = await open({ server: `${address}/proxy/` }).request({ method: 'GET', path: '/api' });
    assert.deepEqual(answer, { url: '/proxy/api' });
  });

  describe('watch', () => {
    const collect = async (signal?: AbortSignal) => {
      const events: unknown[] = [];
      for await (const event of transport.watch({ method: 'GET', path: '/w', signal })) events.push(event);
      return events;
    };

    it('yields events as they come, however they are cut', async () => {
      handle = (_, response) => {
        response.write('{"type":"ADDED","object":{"a":1}}\n{"type":"MODI');
        setTimeout(() => response.write('FIED","object":{"ä":'), 5);
        setTimeout(() => response.end('2}}\n\n'), 10);
      };
      open();
      assert.deepEqual(await collect(), [
        { type: 'ADDED', object: { a: 1 } },
        { type: 'MODIFIED', object: { ä: 2 } },
      ]);
    });

    it('ends quietly when told to, and closes the connection', async () => {
      handle = (_, response) => response.write('{"type":"ADDED","object":{}}\n');
      open();
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 30);
      assert.equal((await collect(abort.signal)).length, 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.ok([...connections].every((socket) => socket.destroyed || socket.readableEnded));
    });

    it('closes the connection when its reader stops', async () => {
      handle = (_, response) => response.write('{"type":"ADDED","object":{}}\n');
      for await (const _ of open().watch({ method: 'GET', path: '/w' })) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.ok([...connections].every((socket) => socket.destroyed || socket.readableEnded));
    });

    it('throws what an ERROR event tells', async () => {
      const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
      handle = (_, response) => response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
      open();
      await assert.rejects(collect(), { code: 410, reason: 'Expired' });
    });

    it('throws when the connection breaks', async () => {
      handle = (request, response) => {
        response.write('{"type":"ADDED","object":{}}\n', () => request.socket.destroy());
      };
      open();
      await assert.rejects(collect(), ConnectionError);
    });

    it('throws when an event is too long', async () => {
      handle = (_, response) => response.end(`"${'x'.repeat(5000)}"\n`);
      open({ maxEventBytes: 1000 });
      await assert.rejects(collect(), /longer than 1000 bytes/);
    });

    it('is refused as a request is', async () => {
      handle = (_, response) =>
        json(response, 403, { kind: 'Status', reason: 'Forbidden', message: 'no', code: 403 });
      open();
      await assert.rejects(collect(), { code: 403, reason: 'Forbidden' });
    });
  });
});

describe('jsonLines', () => {
  async function* chunks(text: string, size: number) {
    const bytes = Buffer.from(text);
    for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
  }

  for (const size of [1, 2, 3, 7, 1000])
    it(`joins chunks of ${size} bytes`, async () => {
      const values: unknown[] = [];
      for await (const value of jsonLines(chunks('{"a":"ä€"}\n[1,2]\n\n"x"\n"cut off', size), 100))
        values.push(value);
      assert.deepEqual(values, [{ a: 'ä€' }, [1, 2], 'x']);
    });
});
