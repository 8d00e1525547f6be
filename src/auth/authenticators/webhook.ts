/**
 * Webhook token authentication: another service is asked by a TokenReview, and its answers are remembered a while.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
 */
import { createHash } from 'node:crypto';
import type { TokenReview } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { unauthorized } from '../../api/machinery/status.js';
import type { Transport } from '../../client/transport.js';
import type { TokenAuthenticator } from '../authenticate.js';
import type { User } from '../user.js';

/** Answers that are remembered. */
const MAX_ANSWERS = 4096;

/** Upstream's `--authentication-token-webhook-cache-ttl`. */
export const DEFAULT_TTL_MS = 120_000;

export function webhookTokens(
  transport: Transport,
  clock: Clock,
  ttlMs = DEFAULT_TTL_MS,
): TokenAuthenticator {
  const known = new Map<string, { until: number; answer: Promise<User | undefined> }>();
  return (token) => {
    const key = createHash('sha256').update(token).digest('base64');
    const now = clock.now();
    const cached = known.get(key);
    if (cached && cached.until > now) return cached.answer;
    const answer = ask(transport, token);
    known.delete(key);
    if (known.size >= MAX_ANSWERS) known.delete(known.keys().next().value!);
    known.set(key, { until: now + ttlMs, answer });
    // A service that is away may be back for the next request.
    answer.catch(() => known.delete(key));
    return answer;
  };
}

async function ask(transport: Transport, token: string): Promise<User | undefined> {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  const { status } = (await transport.request({
    method: 'POST',
    path: '',
    body: review,
  })) as unknown as TokenReview;
  if (!status?.authenticated) return undefined;
  const { username, uid, groups, extra } = status.user ?? {};
  if (!username) throw unauthorized();
  return {
    name: username,
    ...(uid ? { uid } : {}),
    groups: groups ?? [],
    ...(extra ? { extra } : {}),
  };
}
