/** Headers on their way through the proxy. */
import assert from 'node:assert/strict';
import { requestHeaders, responseHeaders } from '../../../../src/network/ingress/headers.js';

const ORIGIN = { client: '203.0.113.7', protocol: 'https', host: 'a.com:8443', port: 8443 } as const;

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
    assert.deepEqual(requestHeaders(raw, ORIGIN), {
      host: 'a.com:8443',
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
    const headers = requestHeaders(raw, ORIGIN);
    const names = Object.keys(headers).filter((name) => !name.startsWith('x-forwarded'));
    assert.deepEqual(names.sort(), ['host', 'x-kept', 'x-real-ip']);
  });

  it('join the pieces of a cookie, and keep repeated headers apart', () => {
    const raw = ['cookie', 'a=1', 'cookie', 'b=2', 'x-many', '1', 'x-many', '2', ':path', '/'];
    const headers = requestHeaders(raw, ORIGIN);
    assert.equal(headers['cookie'], 'a=1; b=2');
    assert.deepEqual(headers['x-many'], ['1', '2']);
    assert.equal(headers[':path'], undefined);
  });

  it('ask for an upgrade when the client does', () => {
    const headers = requestHeaders(['Connection', 'Upgrade', 'Upgrade', 'websocket'], ORIGIN, 'websocket');
    assert.equal(headers['connection'], 'Upgrade');
    assert.equal(headers['upgrade'], 'websocket');
  });
});

describe('headers to the client', () => {
  it('keep each Set-Cookie, and nothing of the connection', () => {
    const raw = ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Connection', 'close', 'Content-Length', '3'];
    assert.deepEqual(responseHeaders(raw), { 'set-cookie': ['a=1', 'b=2'], 'content-length': '3' });
  });
});
