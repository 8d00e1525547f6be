/**
 * Bootstrap tokens at the API: Secrets of kube-system that let their bearers ask for certificates.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
 */
import { timingSafeEqual } from 'node:crypto';
import type { Secret } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import type { TokenAuthenticator } from '../authenticate.js';

const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** `find` gives the Secret of kube-system with this name. */
export function bootstrapTokens(
  find: (name: string) => Secret | undefined,
  clock: Clock,
): TokenAuthenticator {
  return async (token) => {
    const [, id, secret] = TOKEN.exec(token) ?? [];
    if (id === undefined || secret === undefined) return undefined;
    const found = find(`bootstrap-token-${id}`);
    if (found?.type !== 'bootstrap.kubernetes.io/token' || found.metadata.deletionTimestamp) return undefined;
    const value = (key: string) => Buffer.from(found.data?.[key] ?? '', 'base64').toString();
    const expiration = value('expiration');
    const good =
      value('token-id') === id &&
      same(value('token-secret'), secret) &&
      value('usage-bootstrap-authentication') === 'true' &&
      (expiration === '' || Date.parse(expiration) > clock.now());
    if (!good) return undefined;
    const extra = value('auth-extra-groups')
      .split(',')
      .map((group) => group.trim())
      .filter(Boolean);
    if (!extra.every((group) => GROUP.test(group))) return undefined;
    return { name: `system:bootstrap:${id}`, groups: ['system:bootstrappers', ...extra] };
  };
}

function same(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}
