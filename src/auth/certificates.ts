/** Making X.509 certificates and requests (ECDSA P-256). The library is loaded on first use: most runs issue nothing. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type webcrypto,
} from 'node:crypto';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
/** Clocks of nodes differ a little: certificates are valid from some time before now, as upstream's signer does. */
const BACKDATE_MS = 5 * 60_000;

export interface Subject {
  commonName: string;
  organizations?: string[];
}

export interface CertificateRequest extends Subject {
  dnsNames?: string[];
  ips?: string[];
  usage: 'server' | 'client' | 'both';
  /** Validity, 365 when absent. */
  days?: number;
  /** It begins after this moment (milliseconds since the epoch), rather than some time before now. */
  after?: number;
}

export interface KeyPairPem {
  /** PEM. */
  cert: string;
  /** PEM, PKCS #8. */
  key: string;
}

async function library() {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(globalThis.crypto as any);
  return x509;
}

const name = ({ commonName, organizations = [] }: Subject) => [
  ...organizations.map((o) => ({ O: [o] })),
  { CN: [commonName] },
];

/** 127 random bits: positive, and unique without a counter on disk. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** A new P-256 private key, PKCS #8 PEM. */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

async function webKeys(keyPem: string) {
  const key = createPrivateKey(keyPem);
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const privateKey = await crypto.subtle.importKey('pkcs8', der, ALGORITHM, true, ['sign']);
  return { privateKey, publicKey: await webPublicKey(createPublicKey(key)) };
}

function webPublicKey(key: KeyObject) {
  return crypto.subtle.importKey('spki', key.export({ type: 'spki', format: 'der' }), ALGORITHM, true, [
    'verify',
  ]);
}

/** A self-signed CA. */
export async function createCa(subject: Subject, days: number): Promise<KeyPairPem> {
  const x509 = await library();
  const key = newPrivateKey();
  const keys = await webKeys(key);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: name(subject),
    notBefore: new Date(Date.now() - BACKDATE_MS),
    notAfter: new Date(Date.now() + days * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature |
          x509.KeyUsageFlags.keyCertSign |
          x509.KeyUsageFlags.cRLSign |
          x509.KeyUsageFlags.keyEncipherment,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: `${cert.toString('pem')}\n`, key };
}

/** When a certificate begins that is made now, in whole seconds. */
function beginning(after = 0): number {
  return Math.max(Date.now() - BACKDATE_MS, (Math.floor(after / 1000) + 1) * 1000);
}

/** Signs a certificate for `publicKey` with the CA's key. Waits until it is valid: a second at most. */
async function sign(
  ca: KeyPairPem,
  publicKey: webcrypto.CryptoKey,
  request: CertificateRequest,
): Promise<string> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(ca.cert);
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const usages = { server: [serverAuth], client: [clientAuth], both: [serverAuth, clientAuth] };
  const names = [
    ...(request.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(request.ips ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  const notAfter = Math.min(Date.now() + (request.days ?? 365) * DAY_MS, issuer.notAfter.getTime());
  const notBefore = beginning(request.after);
  if (notBefore > Date.now()) await sleep(notBefore - Date.now());
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: name(request),
    issuer: issuer.subjectName.toJSON(),
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    signingAlgorithm: ALGORITHM,
    publicKey,
    signingKey: (await webKeys(ca.key)).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
        true,
      ),
      new x509.ExtendedKeyUsageExtension(usages[request.usage]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return `${cert.toString('pem')}\n`;
}

/** A new key and its certificate. Addresses among `dnsNames` are an error. */
export async function issueCertificate(ca: KeyPairPem, request: CertificateRequest): Promise<KeyPairPem> {
  const bad = request.dnsNames?.find((n) => isIP(n) !== 0) ?? request.ips?.find((ip) => isIP(ip) === 0);
  if (bad !== undefined) throw new Error(`certificate for ${request.commonName}: misplaced name ${bad}`);
  const key = newPrivateKey();
  const cert = await sign(ca, (await webKeys(key)).publicKey, request);
  return { cert, key };
}

/** A certificate for the key in `csrPem`, with the subject given here: what the request itself asks for is not used. */
export async function signRequest(
  ca: KeyPairPem,
  csrPem: string,
  request: CertificateRequest,
): Promise<string> {
  const x509 = await library();
  const csr = new x509.Pkcs10CertificateRequest(csrPem);
  if (!(await csr.verify())) throw new Error('certificate request: the signature does not match the key');
  return sign(ca, await csr.publicKey.export(), request);
}

/** A new key and a request to certify it, for a node that joins or renews. */
export async function createRequest(subject: Subject): Promise<{ csr: string; key: string }> {
  const x509 = await library();
  const key = newPrivateKey();
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: name(subject),
    keys: await webKeys(key),
    signingAlgorithm: ALGORITHM,
  });
  return { csr: `${csr.toString('pem')}\n`, key };
}

/** The subject that a request asks for (its signature checked). */
export async function requestSubject(
  csrPem: string,
): Promise<{ commonName: string; organizations: string[] }> {
  const x509 = await library();
  const csr = new x509.Pkcs10CertificateRequest(csrPem);
  if (!(await csr.verify())) throw new Error('certificate request: the signature does not match the key');
  return {
    commonName: csr.subjectName.getField('CN')[0] ?? '',
    organizations: csr.subjectName.getField('O'),
  };
}
