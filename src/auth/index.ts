/** The cluster's authentication and authorization, put together for the API server. */
import type { Clock } from '../api/machinery/clock.js';
import type { Store } from '../store/store.js';
import { type Authenticate, createAuthenticate } from './authenticate.js';
import { NodeAuthorizer } from './authorizers/node.js';
import { RbacAuthorizer } from './authorizers/rbac.js';
import { mastersAuthorizer, unionAuthorizer } from './authorizers/union.js';
import type { Pki } from './pki.js';
import { type ServiceAccountTokens, serviceAccountTokens } from './tokens/service-account.js';
import type { Authorizer } from './user.js';

/** Where tokens come from, unless told otherwise. */
export const DEFAULT_ISSUER = 'https://kubernetes.default.svc.cluster.local';

export interface Auth {
  authenticate: Authenticate;
  authorizer: Authorizer;
  tokens: ServiceAccountTokens;
  close(): void;
}

/** Needs `close`, after the API server's. */
export function createAuth({
  store,
  pki,
  clock,
  issuer = DEFAULT_ISSUER,
}: {
  store: Store;
  pki: Pki;
  clock: Clock;
  issuer?: string;
}): Auth {
  const tokens = serviceAccountTokens({
    key: pki.serviceAccountKey,
    issuer,
    clock,
    find: (plural, namespace, name) => store.get(`core/${plural}/${namespace}/${name}`)?.object,
  });
  const node = new NodeAuthorizer(store);
  const rbac = new RbacAuthorizer(store);
  return {
    authenticate: createAuthenticate({ tokens: [tokens.authenticate] }),
    authorizer: unionAuthorizer([mastersAuthorizer, node, rbac]),
    tokens,
    close() {
      node.close();
      rbac.close();
    },
  };
}
