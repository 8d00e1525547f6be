/** The cluster's keys on disk: its CA and the key that signs service account tokens. */
import { createHash, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CertificateRequest,
  createCa,
  issueCertificate,
  type KeyPairPem,
  newPrivateKey,
  type Subject,
  signRequest,
} from './certificates.js';
import { readIfThere, writeFileAtomic } from './files.js';

export type { CertificateRequest, KeyPairPem, Subject } from './certificates.js';
export { createRequest, requestSubject } from './certificates.js';

export interface SigningKey {
  /** PEM, PKCS #8. */
  privateKey: string;
  /** PEM, SPKI. */
  publicKey: string;
  /** Names the key in a token's header. */
  id: string;
}

export interface Pki {
  /** PEM. */
  caCert: string;
  /** `sha256:<hex>` of the CA's public key, as `--ca-hash` of a join takes it (kubeadm's format). */
  caHash: string;
  serviceAccountKey: SigningKey;
  issue(request: CertificateRequest): Promise<KeyPairPem>;
  /** Certifies the key of a request for `subject`, for client authentication. Rejects if the request is malformed. */
  signCsr(csrPem: string, subject: Subject & Pick<CertificateRequest, 'days' | 'after'>): Promise<string>;
  /**
   * The certificate kept as `<name>.crt` and `<name>.key` in the folder; issued anew if there is none, it comes
   * near its end, the CA changed, or it lacks a name that is asked for.
   */
  ensure(name: string, request: CertificateRequest): Promise<KeyPairPem>;
}

export interface PkiOptions {
  /** The CA's common name; `kubernetes` when absent. */
  commonName?: string;
  /** Validity of a new CA; ten years when absent. */
  caDays?: number;
}

/** Reads the keys in `dir`, or makes them. Two processes must not do this for one folder at once. */
export async function loadOrCreatePki(dir: string, options: PkiOptions = {}): Promise<Pki> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const ca = await loadOrCreate(dir, 'ca', () =>
    createCa({ commonName: options.commonName ?? 'kubernetes' }, options.caDays ?? 3650),
  );
  const issue = (request: CertificateRequest) => issueCertificate(ca, request);
  return {
    caCert: ca.cert,
    caHash: caHash(ca.cert),
    serviceAccountKey: await loadSigningKey(dir),
    issue,
    signCsr: (csr, subject) => signRequest(ca, csr, { ...subject, usage: 'client' }),
    ensure: (name, request) =>
      loadOrCreate(
        dir,
        name,
        () => issue(request),
        (pair) => isUsable(pair, ca, request),
      ),
  };
}

async function loadOrCreate(
  dir: string,
  name: string,
  create: () => Promise<KeyPairPem>,
  usable?: (pair: KeyPairPem) => boolean,
): Promise<KeyPairPem> {
  const [certPath, keyPath] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
  const [cert, key] = await Promise.all([readIfThere(certPath), readIfThere(keyPath)]);
  if (cert !== undefined && key !== undefined) {
    const pair = { cert, key };
    const whole = belongTogether(pair);
    // Never replace a CA that others trust: they would all have to join again.
    if (!whole && usable === undefined)
      throw new Error(`${certPath} is not a certificate for the key beside it`);
    if (whole && (usable?.(pair) ?? true)) return pair;
  }
  const made = await create();
  await writeFileAtomic(keyPath, made.key);
  await writeFileAtomic(certPath, made.cert);
  return made;
}

/** A crash between the two writes leaves a key without its certificate: such a pair is made again. */
function belongTogether({ cert, key }: KeyPairPem): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

/** Whether less than four fifths of its life is over, and it is what is asked for. */
export function isUsable(pair: KeyPairPem, ca: { cert: string }, request: CertificateRequest): boolean {
  const cert = new X509Certificate(pair.cert);
  const [from, to] = [Date.parse(cert.validFrom), Date.parse(cert.validTo)];
  if (Date.now() > from + (to - from) * 0.8) return false;
  if (!cert.verify(new X509Certificate(ca.cert).publicKey)) return false;
  const subject = (cert.subject ?? '').split('\n');
  if (!subject.includes(`CN=${request.commonName}`)) return false;
  if (request.organizations?.some((o) => !subject.includes(`O=${o}`))) return false;
  return (
    (request.dnsNames ?? []).every((n) => cert.checkHost(n) !== undefined) &&
    (request.ips ?? []).every((ip) => cert.checkIP(ip) !== undefined)
  );
}

async function loadSigningKey(dir: string): Promise<SigningKey> {
  const path = join(dir, 'sa.key');
  let privateKey = await readIfThere(path);
  if (privateKey === undefined) {
    privateKey = newPrivateKey();
    await writeFileAtomic(path, privateKey);
  }
  const publicKey = createPublicKey(createPrivateKey(privateKey));
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return {
    privateKey,
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    id: createHash('sha256').update(der).digest('base64url'),
  };
}

/** kubeadm's `discovery-token-ca-cert-hash` of a CA certificate. */
export function caHash(certPem: string): string {
  const key = new X509Certificate(certPem).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}
