/** Who sends a request: the contract between the API server and the authenticators, and their order. */
import { createHash } from 'node:crypto';
import { unauthorized } from '../api/machinery/status.js';
import type { AuthenticateProxied } from './authenticators/request-header.js';
import type { User } from './user.js';

export interface ClientCertificate {
  commonName: string;
  organizations: string[];
  raw?: Buffer;
  /** When it begins, milliseconds since the epoch. */
  issuedAt?: number;
}

/** What a request tells of its sender. */
export interface Credentials {
  /** The client certificate, which one of the configured CAs vouches for. */
  certificate?: ClientCertificate;
  /** Of `Authorization: Bearer`. */
  token?: string;
  /** Without query; for the paths that anonymous requests may be limited to. */
  path?: string;
  header?(name: string): string | undefined;
  headerNames?(): string[];
}

/** Rejects with a 401 StatusError. Credentials that name nobody (none given) are the anonymous user. */
export type Authenticate = (credentials: Credentials) => Promise<User>;

/** Gives undefined for a token that is not of its kind; rejects for one that is, but is not valid. */
export type TokenAuthenticator = (token: string) => Promise<User | undefined>;

export const AUTHENTICATED = 'system:authenticated';
export const ANONYMOUS: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

export interface AuthenticateOptions {
  tokens?: TokenAuthenticator[];
  /** Asked before a certificate counts for itself. */
  proxied?: AuthenticateProxied;
  /** Whether a certificate is one of a client; all are when absent. */
  isClient?(raw: Buffer): boolean;
  /** Throws for a user, or a user's certificate of that time, that does not count any more. */
  check?(user: string, issuedAt?: number): void;
  /** Whether a request without credentials counts as anonymous, at this path; always when absent. */
  anonymous?(path: string): boolean;
}

/** First a proxy's headers, then the certificate, then the token by each authenticator in turn; anonymous without any. */
export function createAuthenticate({
  tokens = [],
  proxied,
  isClient = () => true,
  check = () => {},
  anonymous = () => true,
}: AuthenticateOptions): Authenticate {
  const clients = new WeakMap<object, boolean>();
  const isKnown = (certificate: ClientCertificate): boolean => {
    const known = clients.get(certificate) ?? (!certificate.raw || isClient(certificate.raw));
    clients.set(certificate, known);
    return known;
  };
  return async (credentials) => {
    const { certificate, token } = credentials;
    const named = certificate && proxied ? proxiedUser(proxied, credentials) : undefined;
    if (named) {
      check(named.name);
      return named;
    }
    if (certificate && isKnown(certificate)) {
      check(certificate.commonName, certificate.issuedAt);
      return certificateUser(certificate);
    }
    if (token !== undefined) return tokenUser(tokens, token);
    if (!anonymous(credentials.path ?? '')) throw unauthorized();
    return ANONYMOUS;
  };
}

function proxiedUser(proxied: AuthenticateProxied, credentials: Credentials): User | undefined {
  const { certificate, header = () => undefined, headerNames = () => [] } = credentials;
  if (!certificate?.raw) return undefined;
  const user = proxied({ raw: certificate.raw, commonName: certificate.commonName, header, headerNames });
  return user && { ...user, groups: withAuthenticated(user.groups) };
}

/** Upstream's x509 user: the common name, organizations as groups, and which certificate it was. */
export function certificateUser({ commonName, organizations, raw }: ClientCertificate): User {
  if (commonName === '') throw unauthorized();
  const id = raw && `X509SHA256=${createHash('sha256').update(raw).digest('hex')}`;
  return {
    name: commonName,
    groups: withAuthenticated(organizations),
    ...(id ? { extra: { 'authentication.kubernetes.io/credential-id': [id] } } : {}),
  };
}

/** The first that knows the token counts; one that refuses it does not keep others from knowing it. */
export async function tokenUser(tokens: TokenAuthenticator[], token: string): Promise<User> {
  for (const authenticator of tokens) {
    const user = await authenticator(token).catch(() => undefined);
    if (user) return { ...user, groups: withAuthenticated(user.groups) };
  }
  throw unauthorized();
}

const withAuthenticated = (groups: string[]): string[] =>
  groups.includes(AUTHENTICATED) ? groups : [...groups, AUTHENTICATED];
