/** The certificate for server names that no Ingress has one for: self-made, so that a handshake at least succeeds. */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const NAME = 'CN=Keelson Ingress Self-Signed Certificate';
const YEAR_MS = 365 * 24 * 3600 * 1000;

/** Certificate and key in PEM, of this process alone. */
export async function selfSigned(): Promise<{ cert: string; key: string }> {
  x509.cryptoProvider.set(crypto as never);
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: NAME,
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + YEAR_MS),
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'ingress.keelson.invalid' }]),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    ],
  });
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}
