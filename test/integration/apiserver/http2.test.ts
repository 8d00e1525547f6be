/** Many streams on one HTTP/2 connection: what one client does to some of them leaves the others alone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { eventually } from '../../fixtures/cluster.js';
import { startServer, type TestServer } from './server.js';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const JSON_BODY = { 'content-type': 'application/json' };
const { NGHTTP2_CANCEL } = constants;

describe('apiserver: streams of one connection', function () {
  this.timeout(30_000);
  let api: TestServer;
  let session: ClientHttp2Session;
  before(async () => {
    api = await startServer();
  });
  after(() => api?.close());
  beforeEach(() => {
    session = connect(`https://127.0.0.1:${api.port}`, { ca: api.pki.caCert, ...api.admin });
    session.on('error', () => undefined);
  });
  afterEach(() => session.destroy());

  /** A watch, and the names that it has told of. */
  async function watch(): Promise<{ stream: ClientHttp2Stream; text: () => string }> {
    const stream = session.request({ ':path': `${CONFIG_MAPS}?watch=true` });
    let text = '';
    stream.on('error', () => undefined);
    stream.on('data', (chunk) => {
      text += chunk;
    });
    await once(stream, 'response');
    return { stream, text: () => text };
  }

  async function tells({ stream, text }: Awaited<ReturnType<typeof watch>>, name: string): Promise<void> {
    const body = JSON.stringify({ metadata: { name } });
    assert.equal((await api.http('POST', CONFIG_MAPS, { headers: JSON_BODY, body })).code, 201);
    await eventually('the event', async () => text().includes(`"${name}"`));
    assert.equal(stream.closed, false);
  }

  it('lets a watch go on while a client resets a thousand others', async () => {
    const steady = await watch();
    let reset = 0;
    while (!session.closed && reset < 1500) {
      const stream = session.request({ ':path': '/readyz' });
      stream.on('error', () => undefined);
      stream.close(NGHTTP2_CANCEL);
      reset++;
      if (reset % 50 === 0) await once(stream, 'close');
    }
    // The client was told to open another connection, before it would have been cut off.
    await eventually('the end of new streams', async () => session.closed);
    await tells(steady, 'after-resets');
  });

  it('lets a watch go on beside answers that nobody reads', async () => {
    const steady = await watch();
    const unread = Array.from({ length: 6 }, () => session.request({ ':path': '/openapi/v2' }));
    for (const stream of unread) stream.on('error', () => undefined).pause();
    await Promise.all(unread.map((stream) => once(stream, 'response')));
    for (let i = 0; i < 150; i++) {
      const stream = session.request({ ':path': '/readyz' });
      stream.resume();
      const [headers] = (await once(stream, 'response')) as any;
      assert.equal(headers[':status'], 200);
    }
    await tells(steady, 'beside-unread');
  });
});
