/** The `--oidc-…` options. */
import { mapByNames } from '../authenticators/claims.js';
import type { OidcIssuer } from '../authenticators/oidc.js';
import { ConfigurationError } from '../configuration-error.js';
import { readText } from './read.js';
import type { AuthSettings } from './settings.js';

export const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];

/** Undefined: there is no issuer. Rejects with ConfigurationError. */
export async function oidcFromOptions(settings: AuthSettings): Promise<OidcIssuer | undefined> {
  const { oidcIssuerUrl: url, oidcClientId: client, oidcUsernameClaim: claim = 'sub' } = settings;
  if (!url && !client) return undefined;
  if (!url || !client)
    throw new ConfigurationError('--oidc-issuer-url and --oidc-client-id must be specified together.');
  checkIssuerUrl(url, '--oidc-issuer-url');
  const algorithms = settings.oidcSigningAlgs ?? ['RS256'];
  const unknown = algorithms.find((name) => !ALGORITHMS.includes(name));
  if (unknown)
    throw new ConfigurationError(`--oidc-signing-algs: ${unknown} is not one of ${ALGORITHMS.join(', ')}.`);
  return {
    url,
    audiences: [client],
    algorithms,
    ...(settings.oidcCaFile ? { ca: await readText(settings.oidcCaFile, 'CA of --oidc-ca-file') } : {}),
    mapClaims: mapByNames({
      username: { claim, prefix: usernamePrefix(settings.oidcUsernamePrefix, claim, url) },
      ...(settings.oidcGroupsClaim
        ? { groups: { claim: settings.oidcGroupsClaim, prefix: settings.oidcGroupsPrefix ?? '' } }
        : {}),
      required: Object.fromEntries((settings.oidcRequiredClaim ?? []).map(required)),
    }),
  };
}

/** `-` is none; without a choice names of other claims than email get the issuer before them. */
function usernamePrefix(asked: string | undefined, claim: string, url: string): string {
  if (asked === '-') return '';
  if (asked) return asked;
  return claim === 'email' ? '' : `${url}#`;
}

function required(pair: string): [string, string] {
  const at = pair.indexOf('=');
  if (at < 1)
    throw new ConfigurationError(`--oidc-required-claim takes claim=value, not ${JSON.stringify(pair)}.`);
  return [pair.slice(0, at), pair.slice(at + 1)];
}

/** Throws ConfigurationError. */
export function checkIssuerUrl(url: string, what: string): void {
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
    throw new ConfigurationError(`${what}: ${JSON.stringify(url)} is not an https URL.`);
}
