import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { caHash, createRequest, isUsable, loadOrCreatePki, requestSubject } from '../../../src/auth/pki.js';

describe('auth: certificates', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-test-pki-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('are kept in files that only the owner reads', async () => {
    const first = await loadOrCreatePki(dir);
    const second = await loadOrCreatePki(dir);
    assert.equal(second.caCert, first.caCert);
    assert.equal(second.serviceAccountKey.id, first.serviceAccountKey.id);
    assert.deepEqual(readdirSync(dir).sort(), ['ca.crt', 'ca.key', 'sa.key']);
    for (const file of readdirSync(dir)) assert.equal(statSync(join(dir, file)).mode & 0o777, 0o600);
    assert.match(first.caHash, /^sha256:[0-9a-f]{64}$/);
    assert.equal(caHash(first.caCert), first.caHash);
  });

  it('name what they are for', async () => {
    const pki = await loadOrCreatePki(dir);
    const { cert } = await pki.issue({
      commonName: 'api',
      organizations: ['a', 'b'],
      dnsNames: ['localhost', 'kubernetes.default.svc'],
      ips: ['127.0.0.1', '::1'],
      usage: 'both',
    });
    const x509 = new X509Certificate(cert);
    assert.equal(x509.subject, 'O=a\nO=b\nCN=api');
    assert.ok(x509.verify(new X509Certificate(pki.caCert).publicKey));
    assert.ok(x509.checkHost('localhost') && x509.checkIP('127.0.0.1') && x509.checkIP('::1'));
    assert.deepEqual(x509.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    await assert.rejects(
      pki.issue({ commonName: 'x', dnsNames: ['1.2.3.4'], usage: 'server' }),
      /misplaced name/,
    );
  });

  it('are signed for the subject that the signer gives', async () => {
    const pki = await loadOrCreatePki(dir);
    const { csr } = await createRequest({
      commonName: 'system:node:evil',
      organizations: ['system:masters'],
    });
    assert.deepEqual(await requestSubject(csr), {
      commonName: 'system:node:evil',
      organizations: ['system:masters'],
    });
    const cert = new X509Certificate(
      await pki.signCsr(csr, { commonName: 'system:node:a', organizations: ['system:nodes'], days: 1 }),
    );
    assert.equal(cert.subject, 'O=system:nodes\nCN=system:node:a');
    assert.ok(Date.parse(cert.validTo) - Date.now() <= 86_400_000);
    await assert.rejects(pki.signCsr('nonsense', { commonName: 'a' }));
    const bytes = Buffer.from(csr.replace(/-----.*-----|\s/g, ''), 'base64');
    bytes[bytes.length - 1]! ^= 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----`;
    await assert.rejects(pki.signCsr(forged, { commonName: 'a' }));
  });

  it('are renewed near their end, for other names, and after a crash between the files', async () => {
    const pki = await loadOrCreatePki(dir);
    const request = { commonName: 'api', dnsNames: ['localhost'], usage: 'server' as const };
    const first = await pki.ensure('server', request);
    assert.equal((await pki.ensure('server', request)).cert, first.cert);
    const more = await pki.ensure('server', { ...request, dnsNames: ['localhost', 'other'] });
    assert.notEqual(more.cert, first.cert);
    unlinkSync(join(dir, 'server.crt'));
    assert.notEqual((await pki.ensure('server', request)).cert, more.cert);
    // Five minutes of backdating are more than four fifths of this one's life.
    const brief = await pki.issue({ ...request, days: 30 / 86_400 });
    assert.equal(isUsable(brief, { cert: pki.caCert }, request), false);
  });

  it('never replaces a CA that does not fit its key', async () => {
    await loadOrCreatePki(dir);
    writeFileSync(join(dir, 'ca.crt'), 'damaged');
    await assert.rejects(loadOrCreatePki(dir), /ca\.crt is not a certificate for the key beside it/);
  });
});
