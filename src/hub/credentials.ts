/** TLS of the hub's port: a client certificate is asked for but not required, and judged at each call. */
import { experimental, type ServerCredentials, status } from '@grpc/grpc-js';

type Provider = NonNullable<Parameters<typeof experimental.createCertificateProviderServerCredentials>[1]>;

/** What a call is refused with. */
export class CallError extends Error {
  constructor(
    readonly code: status,
    message: string,
  ) {
    super(message);
  }
}

/** Hands one fixed pair of certificates to grpc-js, whose plain credentials can't make a client's optional. */
function fixedProvider(ca: string, cert: string, key: string): Provider {
  return {
    addCaCertificateListener: (listener) => listener({ caCertificate: Buffer.from(ca) }),
    removeCaCertificateListener() {},
    addIdentityCertificateListener: (listener) =>
      listener({ certificate: Buffer.from(cert), privateKey: Buffer.from(key) }),
    removeIdentityCertificateListener() {},
  };
}

export function serverCredentials(ca: string, cert: string, key: string): ServerCredentials {
  const provider = fixedProvider(ca, cert, key);
  const credentials = experimental.createCertificateProviderServerCredentials(provider, provider, false);
  // The provider tells its certificates when somebody begins to watch, which is after the server asks for them first.
  credentials._addWatcher(() => {});
  return credentials;
}

interface Call {
  getAuthContext(): { sslPeerCertificate?: { subject: any; valid_from: string; valid_to: string } };
}

export interface NodeIdentity {
  node: string;
  /** Milliseconds since the epoch: when the certificate ends. */
  expires: number;
  /** When it begins. */
  issuedAt: number;
}

const PREFIX = 'system:node:';

/** The node that calls, as its certificate says. Throws CallError. */
export function nodeOf(call: Call, now: number): NodeIdentity {
  const certificate = call.getAuthContext().sslPeerCertificate;
  if (!certificate) throw new CallError(status.UNAUTHENTICATED, 'a valid client certificate is needed');
  const name = String(certificate.subject?.CN ?? '');
  const groups = [certificate.subject?.O ?? []].flat();
  const expires = Date.parse(certificate.valid_to);
  if (!(expires > now)) throw new CallError(status.UNAUTHENTICATED, 'the client certificate has expired');
  if (!name.startsWith(PREFIX) || !groups.includes('system:nodes'))
    throw new CallError(status.PERMISSION_DENIED, `${JSON.stringify(name)} is not a node`);
  return { node: name.slice(PREFIX.length), expires, issuedAt: Date.parse(certificate.valid_from) };
}

/** The user that a node's writes are made as. */
export const nodeUser = (node: string) => ({
  name: `${PREFIX}${node}`,
  groups: ['system:nodes', 'system:authenticated'],
});
