/** The node's certificate: got by a bootstrap token, kept on disk, renewed in time. */
import { X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { checkServerIdentity, connect, type PeerCertificate } from 'node:tls';
import { Client as GrpcClient, credentials as grpc, type MethodDefinition } from '@grpc/grpc-js';
import { readIfThere, writeFileAtomic } from '../../auth/files.js';
import { caHash } from '../../auth/pki.js';
import { requestApart } from '../../auth/request.js';
import { type Certificate, hubService, MAX_DOWN } from '../../rpc/hub.js';

export interface Credentials {
  /** PEM, all three. */
  ca: string;
  cert: string;
  key: string;
}

export interface JoinSource {
  node: string;
  /** `host:port`. */
  hub: string;
  /** Where `ca.crt`, `node.crt` and `node.key` are kept. */
  dir: string;
  token?: string;
  /** `sha256:<hex>` of the CA's public key, as kubeadm pins it. */
  caHash?: string;
}

/** What an administrator can mend, in words. */
class JoinError extends Error {
  override name = 'JoinError';
}

const CALL_MS = 15_000;

/** What is on disk, if it is whole, of this node, and still valid at `now`. */
export async function loadCredentials(
  { dir, node }: JoinSource,
  now: number,
): Promise<Credentials | undefined> {
  const [ca, cert, key] = await Promise.all(
    ['ca.crt', 'node.crt', 'node.key'].map((file) => readIfThere(join(dir, file))),
  );
  if (!ca || !cert || !key) return undefined;
  try {
    const parsed = new X509Certificate(cert);
    const own = parsed.subject.split('\n').includes(`CN=system:node:${node}`);
    return own && Date.parse(parsed.validTo) > now ? { ca, cert, key } : undefined;
  } catch {
    return undefined;
  }
}

/** Joins with the token: the CA must be the pinned one. */
export async function joinCluster(source: JoinSource): Promise<Credentials> {
  const { node, hub, token, dir } = source;
  if (!token) throw new JoinError(`node ${node} has no valid certificate in ${dir}, and no token to get one`);
  const ca = await pinnedCa(source);
  const { csr, key } = await requestApart({
    commonName: `system:node:${node}`,
    organizations: ['system:nodes'],
  });
  const { credentials, options } = channel(hub, { ca });
  const client = new GrpcClient(hub, credentials, options);
  try {
    const { certificate = '' } = await unary(client, hubService.join, { token, node, csr });
    return await save(dir, { ca, cert: certificate, key });
  } finally {
    client.close();
  }
}

/** Asks for a new certificate with the one before. */
export async function renew(source: JoinSource, old: Credentials): Promise<Credentials> {
  const subject = { commonName: `system:node:${source.node}`, organizations: ['system:nodes'] };
  const { csr, key } = await requestApart(subject);
  const { credentials, options } = channel(source.hub, old);
  const client = new GrpcClient(source.hub, credentials, options);
  try {
    const { certificate = '', ca = old.ca } = await unary(client, hubService.renew, { csr });
    return await save(source.dir, { ca, cert: certificate, key });
  } finally {
    client.close();
  }
}

/** How to dial the hub: TLS with the cluster's CA, and the node's own certificate once it has one. */
export function channel(hub: string, { ca, cert, key }: { ca: string; cert?: string; key?: string }) {
  const { host } = splitAddress(hub);
  // A name in the handshake may not be an address; what the certificate is checked for is the address all the same.
  const byAddress = isIP(host) !== 0;
  const verify = byAddress
    ? { checkServerIdentity: (_name: string, peer: PeerCertificate) => checkServerIdentity(host, peer) }
    : {};
  return {
    credentials: grpc.createSsl(
      Buffer.from(ca),
      key ? Buffer.from(key) : null,
      cert ? Buffer.from(cert) : null,
      verify,
    ),
    options: {
      ...(byAddress ? { 'grpc.ssl_target_name_override': 'keelson-hub' } : {}),
      'grpc.max_receive_message_length': MAX_DOWN,
      'grpc.use_local_subchannel_pool': 1,
    },
  };
}

/** `host:port`, with brackets around an IPv6 address. */
function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

/** When a certificate is to be renewed: after four fifths of its life. Milliseconds since the epoch. */
export function renewalTime({ cert }: Credentials): number {
  const { validFrom, validTo } = new X509Certificate(cert);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return from + (to - from) * 0.8;
}

/** The key is written first: a crash in between leaves a pair that does not match, which the hub refuses. */
async function save(dir: string, credentials: Credentials): Promise<Credentials> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(dir, 'ca.crt'), credentials.ca);
  await writeFileAtomic(join(dir, 'node.key'), credentials.key);
  await writeFileAtomic(join(dir, 'node.crt'), credentials.cert);
  return credentials;
}

/** The CA kept from before, or that which the hub shows, if its key has the pinned hash. */
async function pinnedCa({ dir, hub, caHash: pin }: JoinSource): Promise<string> {
  const kept = await readIfThere(join(dir, 'ca.crt'));
  if (kept && (!pin || caHash(kept) === pin)) return kept;
  if (!pin) throw new JoinError('joining needs the hash of the CA (sha256:…), to know the hub by');
  for (const cert of await shownCertificates(hub)) if (caHash(cert) === pin) return cert;
  throw new JoinError(`the hub at ${hub} shows no CA with the hash ${pin}`);
}

/** The chain of certificates that the hub shows, PEM, judged by nobody yet. */
function shownCertificates(hub: string): Promise<string[]> {
  const { host, port } = splitAddress(hub);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    socket.setTimeout(CALL_MS, () => socket.destroy(new Error(`the hub at ${hub} does not answer`)));
    socket.on('error', reject);
    socket.once('secureConnect', () => {
      const chain: string[] = [];
      const seen = new Set<string>();
      let certificate = socket.getPeerCertificate(true);
      while (certificate?.raw && !seen.has(certificate.fingerprint256)) {
        seen.add(certificate.fingerprint256);
        chain.push(new X509Certificate(certificate.raw).toString());
        certificate = certificate.issuerCertificate;
      }
      socket.destroy();
      resolve(chain);
    });
  });
}

function unary<I>(
  client: GrpcClient,
  method: MethodDefinition<I, Certificate>,
  request: I,
): Promise<Certificate> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      { deadline: Date.now() + CALL_MS },
      (error, answer) => (error || !answer ? reject(error ?? new Error('no answer')) : resolve(answer)),
    );
  });
}
