/** Headers on their way through the proxy. */
import assert from 'node:assert/strict';
import {
  byName,
  requestHead,
  requestHeaders,
  responseHeaders,
} from '../../../../src/network/ingress/headers.js';

const ORIGIN = { client: '203.0.113.7', protocol: 'https', host: 'a.com:8443', port: 8443 } as const;

const named = (headers: string[]) => ({ ...byName(headers) });

describe('headers to the backend', () => {
  it('tell where the request comes from, whatever the client claims', () => {
    const raw = [
      'Host',
      'a.com:8443',
      'X-Forwarded-For',
      '10.0.0.1',
      'X-Real-Ip',
      '10.0.0.1',
      'Accept',
      '*/*',
    ];
    assert.deepEqual(named(requestHeaders(raw, ORIGIN)), {
      accept: '*/*',
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'a.com:8443',
      'x-forwarded-port': '8443',
      'x-real-ip': '203.0.113.7',
    });
  });

  it('leave out what is for the next hop, also by name of Connection', () => {
    const raw = [
      ...['Connection', 'keep-alive, X-Secret', 'X-Secret', '1', 'Keep-Alive', 'timeout=5', 'TE', 'trailers'],
      ...[
        'Transfer-Encoding',
        'chunked',
        'Upgrade',
        'h2c',
        'Proxy-Authorization',
        'x',
        'Expect',
        '100-continue',
      ],
      ...['X-Kept', '1'],
    ];
    const headers = named(requestHeaders(raw, ORIGIN));
    const names = Object.keys(headers).filter((name) => !name.startsWith('x-forwarded'));
    assert.deepEqual(names.sort(), ['x-kept', 'x-real-ip']);
  });

  it('join the pieces of a cookie, and keep repeated headers apart', () => {
    const raw = ['cookie', 'a=1', 'cookie', 'b=2', 'x-many', '1', 'x-many', '2', ':path', '/'];
    const headers = named(requestHeaders(raw, ORIGIN));
    assert.equal(headers['cookie'], 'a=1; b=2');
    assert.deepEqual(headers['x-many'], ['1', '2']);
    assert.equal(headers[':path'], undefined);
  });
});

describe('headers to the client', () => {
  it('keep each Set-Cookie, their order and names, and nothing of the connection', () => {
    const raw = ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Connection', 'close', 'Content-Length', '3'];
    const kept = ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Content-Length', '3'];
    assert.deepEqual(responseHeaders(raw), kept);
    assert.deepEqual(named(kept), { 'set-cookie': ['a=1', 'b=2'], 'content-length': '3' });
  });
});

describe('the head of a request', () => {
  const attempt = { method: 'GET', path: '/x?y', host: 'a.com', headers: ['A', '1'], hasBody: false };
  const head = (more: object) => requestHead({ ...attempt, ...more }, '10.0.0.1:80').split('\r\n');

  it('names the host, or the address where the client names none', () => {
    assert.deepEqual(head({}), ['GET /x?y HTTP/1.1', 'Host: a.com', 'A: 1', '', '']);
    assert.equal(head({ host: '' })[1], 'Host: 10.0.0.1:80');
  });

  const framed: [what: string, more: object, line: string | undefined][] = [
    ['a body of unknown length', { method: 'POST', hasBody: true }, 'Transfer-Encoding: chunked'],
    ['a body of known length', { method: 'POST', hasBody: true, length: 3 }, undefined],
    ['no body, where one is usual', { method: 'POST' }, 'Content-Length: 0'],
    ['an upgrade', { upgrade: 'websocket' }, 'Upgrade: websocket'],
  ];
  for (const [what, more, line] of framed)
    it(`tells of ${what}`, () => assert.equal(head(more).slice(3, -2).at(-1), line));

  for (const more of [{ path: '/\r\nA: b' }, { host: 'a\nb' }, { headers: ['A', '1\r\n\r\nGET / HTTP/1.1'] }])
    it(`is refused for ${JSON.stringify(more)}`, () => assert.throws(() => head(more), { status: 400 }));
});
