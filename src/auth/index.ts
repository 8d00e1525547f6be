/** The cluster's authentication and authorization, put together for the API server. */

import type { Secret } from '#types';
import type { Clock } from '../api/machinery/clock.js';
import type { Store } from '../store/store.js';
import { type Authenticate, createAuthenticate, type TokenAuthenticator, tokenUser } from './authenticate.js';
import { bootstrapTokens } from './authenticators/bootstrap-token.js';
import { NodeAuthorizer } from './authorizers/node.js';
import { RbacAuthorizer } from './authorizers/rbac.js';
import { mastersAuthorizer, unionAuthorizer } from './authorizers/union.js';
import type { ChooseAuthorizers } from './configuration/authorization.js';
import type { ConfiguredAuthentication } from './configuration/load.js';
import type { Pki } from './pki.js';
import { Revocations } from './revocations.js';
import { certificateTokens } from './tokens/certificate.js';
import { type LegacyTokens, legacyTokens } from './tokens/legacy.js';
import { type ServiceAccountTokens, serviceAccountTokens } from './tokens/service-account.js';
import type { Authorizer, User } from './user.js';

/** Where tokens come from, unless told otherwise. */
export const DEFAULT_ISSUER = 'https://kubernetes.default.svc.cluster.local';

export interface Auth {
  authenticate: Authenticate;
  authorizer: Authorizer;
  tokens: ServiceAccountTokens;
  /** For Secrets that hold tokens. */
  legacyTokens: LegacyTokens;
  /** Whose token it is, and for which of `audiences`; undefined or rejects with 401 if it is nobody's. */
  review: ReviewToken;
  /** Whose credentials were taken back. */
  revocations: Revocations;
  close(): void;
}

export type ReviewToken = (
  token: string,
  audiences: string[],
) => Promise<{ user: User; audiences: string[] } | undefined>;

/** Needs `close`, after the API server's. */
export function createAuth({
  store,
  pki,
  clock,
  issuer = DEFAULT_ISSUER,
  authentication: { staticTokens = [], tokens: others = [], ...authentication } = {},
  authorizers = ({ Node, RBAC }) => [Node, RBAC],
}: {
  store: Store;
  pki: Pki;
  clock: Clock;
  issuer?: string;
  authentication?: Partial<ConfiguredAuthentication>;
  authorizers?: ChooseAuthorizers;
}): Auth {
  const findCore = (plural: string, namespace: string, name: string) =>
    store.get(`core/${plural}/${namespace}/${name}`)?.object;
  const tokens = serviceAccountTokens({
    key: pki.serviceAccountKey,
    issuer,
    clock,
    find: findCore,
  });
  const legacy = legacyTokens(pki.serviceAccountKey, findCore, clock);
  const node = new NodeAuthorizer(store);
  const rbac = new RbacAuthorizer(store);
  const find = (name: string) => store.get(`core/secrets/kube-system/${name}`)?.object as Secret | undefined;
  const revocations = new Revocations(store);
  const check = (user: string, issuedAt?: number) => revocations.check(user, issuedAt);
  /** These tell no time, and are for whom others say. */
  const checked =
    (authenticator: TokenAuthenticator): TokenAuthenticator =>
    async (token) => {
      const user = await authenticator(token);
      if (user) check(user.name);
      return user;
    };
  // Upstream's order.
  const before = staticTokens.map(checked);
  const after = [
    legacy.authenticate,
    bootstrapTokens(find, clock),
    certificateTokens(pki.caCert, clock, check),
    ...others.map(checked),
  ];
  return {
    authenticate: createAuthenticate({
      ...authentication,
      check,
      tokens: [...before, tokens.authenticate, ...after],
    }),
    authorizer: unionAuthorizer([mastersAuthorizer, ...authorizers({ Node: node, RBAC: rbac })]),
    tokens,
    legacyTokens: legacy,
    revocations,
    async review(token, audiences) {
      const own = await tokens.review(token, audiences);
      if (own) return own;
      // Tokens without audiences are for this API alone.
      const common = audiences.filter((audience) => tokens.audiences.includes(audience));
      if (common.length === 0) return undefined;
      return { user: await tokenUser([...before, ...after], token), audiences: common };
    },
    close() {
      node.close();
      rbac.close();
      revocations.close();
    },
  };
}
