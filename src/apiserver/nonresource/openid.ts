/**
 * Where others learn how to check service account tokens.
 * @see https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
 */
import type { ServiceAccountTokens } from '../../auth/tokens/service-account.js';
import type { Result } from '../context.js';

const JWKS_PATH = '/openid/v1/jwks';

/** Undefined for other paths, and where no tokens are issued. */
export function openid(path: string, tokens: ServiceAccountTokens | undefined): Result | undefined {
  if (!tokens) return undefined;
  if (path === JWKS_PATH) return answer('application/jwk-set+json', tokens.jwks());
  if (path !== '/.well-known/openid-configuration') return undefined;
  return answer('application/json', {
    issuer: tokens.issuer,
    jwks_uri: `${tokens.issuer}${JWKS_PATH}`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  });
}

const answer = (type: string, value: object): Result => ({
  type: 'raw',
  code: 200,
  headers: { 'content-type': type, 'cache-control': 'public, max-age=3600' },
  body: JSON.stringify(value),
});
