import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { signCertificateToken } from '../../../src/auth/tokens/certificate.js';
import { startServer, type TestServer } from './server.js';

const UI = join(fileURLToPath(import.meta.url), '../../../../ui');
const anonymous = { anonymous: true };
const HOUR = 3600;

describe('apiserver: the dashboard', function () {
  this.timeout(30_000);
  let s: TestServer;
  let without: TestServer;
  before(async () => {
    assert.ok(existsSync(join(UI, 'index.html')), `${UI} is built`);
    [s, without] = await Promise.all([startServer({}, { dashboard: UI }), startServer()]);
  });
  after(async () => {
    await s?.close();
    await without?.close();
  });

  it('serves the page to anybody, and lets it load nothing but its own', async () => {
    const page = await s.http('GET', '/ui/', anonymous);
    assert.equal(page.code, 200);
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(page.headers['cache-control'], 'no-cache, no-transform');
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
    assert.equal(page.headers['referrer-policy'], 'no-referrer');
    assert.match(
      page.headers['content-security-policy'] as string,
      /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;/,
    );
    assert.doesNotMatch(page.text, /<script(?![^>]* src=)|<style|style=| on\w+=/);
    assert.equal((await s.http('GET', '/ui', anonymous)).headers.location, '/ui/');
  });

  it('serves files with hashes in their names for good, and compressed', async () => {
    const { text } = await s.http('GET', '/ui/', anonymous);
    const script = /src="(\/ui\/assets\/[^"]+\.js)"/.exec(text)![1]!;
    const plain = await s.http('GET', script, anonymous);
    assert.equal(plain.headers['content-type'], 'text/javascript; charset=utf-8');
    assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable');
    const zipped = await s.http('GET', script, { ...anonymous, headers: { 'accept-encoding': 'gzip' } });
    assert.equal(zipped.headers['content-encoding'], 'gzip');
    assert.deepEqual(gunzipSync(zipped.bytes), plain.bytes);
    const etag = plain.headers.etag!;
    assert.equal(
      (await s.http('GET', script, { ...anonymous, headers: { 'if-none-match': etag } })).code,
      304,
    );
    assert.equal((await s.http('HEAD', script, anonymous)).bytes.length, 0);
  });

  for (const path of [
    '/ui/nothing',
    '/ui/../pki/ca.key',
    '/ui/..%2f..%2fpackage.json',
    '/ui//etc/passwd',
    '/ui/assets',
  ])
    it(`has nothing at ${path}`, async () => {
      const { code, text } = await s.http('GET', path, anonymous);
      assert.equal(code, 404);
      assert.equal(text, '404 page not found\n');
    });

  it('gives anonymous nothing else, and takes no writes', async () => {
    assert.equal((await s.http('POST', '/ui/', anonymous)).code, 405);
    assert.equal((await s.http('GET', '/api/v1/pods', anonymous)).code, 403);
    assert.equal((await s.http('GET', '/uix', anonymous)).code, 403);
  });

  it('can be off', async () => {
    assert.equal((await without.http('GET', '/ui/', anonymous)).code, 403);
    assert.equal((await without.http('GET', '/ui/')).code, 404);
  });

  it('takes the holder of a certificate by a token that its key signed, for an hour at most', async () => {
    const who = async (token: string) => {
      const { code, json } = await s.http('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
        anonymous: true,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
      });
      return code === 201 ? json.status.userInfo : code;
    };
    const now = Date.now();
    const good = await signCertificateToken(s.admin, HOUR, now);
    const { username, groups, extra } = await who(good);
    assert.deepEqual([username, groups], ['admin', ['system:masters', 'system:authenticated']]);
    assert.match(extra['authentication.kubernetes.io/credential-id'][0], /^X509SHA256=/);

    assert.equal(await who(await signCertificateToken(s.admin, HOUR, now - (HOUR + 1) * 1000)), 401, 'old');
    assert.equal(await who(await signCertificateToken(s.admin, HOUR, now + 600_000)), 401, 'not yet');
    assert.equal(await who(await signCertificateToken(without.admin, HOUR, now)), 401, 'of another CA');
    const [header, payload, signature] = good.split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const longer = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 60 })).toString('base64url');
    assert.equal(await who(`${header}.${longer}.${signature}`), 401, 'changed');
    const serving = await s.pki.ensure('other', {
      commonName: 'x',
      organizations: ['system:masters'],
      usage: 'server',
    });
    assert.equal(await who(await signCertificateToken(serving, HOUR, now)), 401, 'of a server');
  });
});
