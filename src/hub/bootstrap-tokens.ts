/** Bootstrap tokens, kept as Secrets as upstream keeps them (`bootstrap-token-<id>` in kube-system). */
import { timingSafeEqual } from 'node:crypto';
import type { Secret } from '#types';

/** What a good token allows. */
export interface TokenGrant {
  /** To take the name of a node that exists. */
  replace: boolean;
}

export type FindSecret = (namespace: string, name: string) => Promise<Secret | undefined>;

/** The key of the Secret's data that allows to take the name of a node that exists. */
export const ALLOW_REPLACE = 'keelson-allow-replace';

/**
 * What `token` (`<id>.<secret>`) allows, or undefined if it is not good. Rules are those of upstream's
 * bootstrap token authenticator: type, both parts, usage and expiration.
 */
export async function checkBootstrapToken(
  token: string,
  find: FindSecret,
  now: number,
): Promise<TokenGrant | undefined> {
  const parts = /^([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(token);
  if (!parts) return undefined;
  const [, id = '', secret = ''] = parts;
  const found = await find('kube-system', `bootstrap-token-${id}`);
  if (found?.type !== 'bootstrap.kubernetes.io/token' || found.metadata.deletionTimestamp) return undefined;
  const value = (key: string) => Buffer.from(found.data?.[key] ?? '', 'base64').toString();
  if (value('token-id') !== id || !same(value('token-secret'), secret)) return undefined;
  if (value('usage-bootstrap-authentication') !== 'true') return undefined;
  const expiration = value('expiration');
  if (expiration !== '' && !(Date.parse(expiration) > now)) return undefined;
  return { replace: value(ALLOW_REPLACE) === 'true' };
}

function same(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}
