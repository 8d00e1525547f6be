/** Who sends a request: the contract between the API server and the authenticators, and their order. */
import { unauthorized } from '../api/machinery/status.js';
import type { User } from './user.js';

/** What a request tells of its sender. */
export interface Credentials {
  /** The subject of a client certificate that the configured CA vouches for. */
  certificate?: { commonName: string; organizations: string[] };
  /** Of `Authorization: Bearer`. */
  token?: string;
}

/** Rejects with a 401 StatusError. Credentials that name nobody (none given) are the anonymous user. */
export type Authenticate = (credentials: Credentials) => Promise<User>;

/** Gives undefined for a token that is not of its kind; rejects for one that is, but is not valid. */
export type TokenAuthenticator = (token: string) => Promise<User | undefined>;

export const AUTHENTICATED = 'system:authenticated';
export const ANONYMOUS: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/** First the certificate, then the token by each authenticator in turn; anonymous without either. */
export function createAuthenticate({
  tokens = [],
  anonymous = true,
}: {
  tokens?: TokenAuthenticator[];
  anonymous?: boolean;
}): Authenticate {
  return async ({ certificate, token }) => {
    if (certificate) return certificateUser(certificate);
    if (token !== undefined) return tokenUser(tokens, token);
    if (!anonymous) throw unauthorized();
    return ANONYMOUS;
  };
}

/** Upstream's x509 user: the common name, and organizations as groups. */
function certificateUser({ commonName, organizations }: NonNullable<Credentials['certificate']>): User {
  if (commonName === '') throw unauthorized();
  return { name: commonName, groups: withAuthenticated(organizations) };
}

async function tokenUser(tokens: TokenAuthenticator[], token: string): Promise<User> {
  for (const authenticator of tokens) {
    const user = await authenticator(token);
    if (user) return { ...user, groups: withAuthenticated(user.groups) };
  }
  throw unauthorized();
}

const withAuthenticated = (groups: string[]): string[] =>
  groups.includes(AUTHENTICATED) ? groups : [...groups, AUTHENTICATED];
