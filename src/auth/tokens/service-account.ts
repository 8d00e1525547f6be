/**
 * Service account tokens: JWTs bound to an account and, if asked for, to a pod, secret or node
 * (KEP-1205 bound service account tokens). They hold only while what they are bound to exists.
 */
import { createPrivateKey, createPublicKey, randomUUID } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import type { Clock } from '../../api/machinery/clock.js';
import { timestamp } from '../../api/machinery/clock.js';
import { unauthorized } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { TokenAuthenticator } from '../authenticate.js';
import type { SigningKey } from '../pki.js';
import type { User } from '../user.js';

const ALGORITHM = 'ES256';
const PREFIX = 'system:serviceaccount:';
/** Verified signatures that are remembered: the same few tokens come again and again. */
const REMEMBERED = 1000;
/** How long a bound pod may be gone before its token is refused, as upstream allows. */
const DELETED_LEEWAY_MS = 60_000;

export interface TokenRequest {
  namespace: string;
  name: string;
  uid: string;
  /** Empty: the API server's own. */
  audiences: string[];
  expirationSeconds: number;
  bound?: { kind: 'Pod' | 'Secret' | 'Node'; name: string; uid: string };
  /** Where a bound pod runs. */
  node?: { name: string; uid: string };
  /** Seconds after which use of the token is reported as late; for tokens that live longer than asked. */
  warnAfterSeconds?: number;
}

interface Named {
  name: string;
  uid: string;
}

interface KubernetesClaims {
  namespace: string;
  serviceaccount: Named;
  pod?: Named;
  secret?: Named;
  node?: Named;
  warnafter?: number;
}

export interface ServiceAccountTokens {
  issue(request: TokenRequest): Promise<{ token: string; expirationTimestamp: string }>;
  /** Undefined for what is not a token of this issuer. */
  authenticate: TokenAuthenticator;
  /** As `authenticate`, for other audiences; gives those that the token has of `audiences`. */
  review(token: string, audiences: string[]): Promise<{ user: User; audiences: string[] } | undefined>;
  issuer: string;
  audiences: string[];
  /** The public key as JWK set, for /openid/v1/jwks. */
  jwks(): { keys: object[] };
}

export interface ServiceAccountTokenOptions {
  key: SigningKey;
  /** Such as `https://kubernetes.default.svc.cluster.local`. */
  issuer: string;
  /** The newest version of `<plural>` in the core group, or undefined. */
  find(plural: string, namespace: string, name: string): KubeObject | undefined;
  clock: Clock;
}

type Payload = Awaited<ReturnType<typeof jwtVerify>>['payload'];

export function serviceAccountTokens(options: ServiceAccountTokenOptions): ServiceAccountTokens {
  const { key, issuer, clock } = options;
  const privateKey = createPrivateKey(key.privateKey);
  const publicKey = createPublicKey(key.publicKey);
  const verified = new Map<string, Payload>();
  const own = [issuer];

  async function payloadOf(token: string): Promise<Payload> {
    const known = verified.get(token);
    if (known) return known;
    try {
      const { payload } = await jwtVerify(token, publicKey, {
        algorithms: [ALGORITHM],
        issuer,
        currentDate: new Date(clock.now()),
      });
      if (verified.size >= REMEMBERED) verified.delete(verified.keys().next().value!);
      verified.set(token, payload);
      return payload;
    } catch {
      throw unauthorized();
    }
  }

  async function review(token: string, audiences: string[]) {
    if (!isOurs(token, issuer)) return undefined;
    const payload = await payloadOf(token);
    const now = clock.now();
    if (!(payload.exp && payload.exp * 1000 > now) || (payload.nbf ?? 0) * 1000 > now + 1000)
      throw unauthorized();
    const had = [payload.aud ?? []].flat();
    const common = audiences.filter((audience) => had.includes(audience));
    if (common.length === 0) throw unauthorized();
    return { user: userOf(payload, options.find, now), audiences: common };
  }

  return {
    issuer,
    audiences: own,
    review,
    authenticate: async (token) => (await review(token, own))?.user,
    async issue(request) {
      const now = Math.floor(clock.now() / 1000);
      const expires = now + request.expirationSeconds;
      const token = await new SignJWT({ 'kubernetes.io': claimsOf(request, now) })
        .setProtectedHeader({ alg: ALGORITHM, kid: key.id })
        .setIssuer(issuer)
        .setAudience(request.audiences.length > 0 ? request.audiences : own)
        .setSubject(`${PREFIX}${request.namespace}:${request.name}`)
        .setIssuedAt(now)
        .setNotBefore(now)
        .setExpirationTime(expires)
        .setJti(randomUUID())
        .sign(privateKey);
      return {
        token,
        expirationTimestamp: timestamp(
          (now + (request.warnAfterSeconds ?? request.expirationSeconds)) * 1000,
        ),
      };
    },
    jwks: () => ({
      keys: [{ use: 'sig', kid: key.id, alg: ALGORITHM, ...publicKey.export({ format: 'jwk' }) }],
    }),
  };
}

/** Whether an unverified token says that it comes from this issuer. */
function isOurs(token: string, issuer: string): boolean {
  const parts = token.split('.');
  if (parts.length !== 3) return false;
  try {
    return JSON.parse(Buffer.from(parts[1]!, 'base64url').toString()).iss === issuer;
  } catch {
    return false;
  }
}

function claimsOf(
  { namespace, name, uid, bound, node, warnAfterSeconds }: TokenRequest,
  now: number,
): KubernetesClaims {
  return {
    namespace,
    ...(node ? { node } : {}),
    ...(bound ? { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } } : {}),
    serviceaccount: { name, uid },
    ...(warnAfterSeconds === undefined ? {} : { warnafter: now + warnAfterSeconds }),
  };
}

/** Checks that everything the token is bound to is still there. Throws 401. */
function userOf(payload: Payload, find: ServiceAccountTokenOptions['find'], now: number): User {
  const claims = payload['kubernetes.io'] as KubernetesClaims | undefined;
  const account = claims?.serviceaccount;
  if (!claims || !account || payload.sub !== `${PREFIX}${claims.namespace}:${account.name}`)
    throw unauthorized();
  const { namespace } = claims;
  mustBe(find('serviceaccounts', namespace, account.name), account, now);
  if (claims.pod) mustBe(find('pods', namespace, claims.pod.name), claims.pod, now);
  if (claims.secret) mustBe(find('secrets', namespace, claims.secret.name), claims.secret, now);
  if (claims.node && !claims.pod) mustBe(find('nodes', '', claims.node.name), claims.node, now);
  return { ...serviceAccountUser(namespace, account), extra: extraOf(payload, claims) };
}

function mustBe(object: KubeObject | undefined, wanted: Named, now: number): void {
  const ended = object?.metadata.deletionTimestamp;
  if (object?.metadata.uid !== wanted.uid) throw unauthorized();
  if (ended && Date.parse(String(ended)) + DELETED_LEEWAY_MS < now) throw unauthorized();
}

const AUTH = 'authentication.kubernetes.io';

function extraOf(payload: Payload, { pod, node }: KubernetesClaims): Record<string, string[]> {
  return {
    ...(payload.jti ? { [`${AUTH}/credential-id`]: [`JTI=${payload.jti}`] } : {}),
    ...(node ? { [`${AUTH}/node-name`]: [node.name], [`${AUTH}/node-uid`]: [node.uid] } : {}),
    ...(pod ? { [`${AUTH}/pod-name`]: [pod.name], [`${AUTH}/pod-uid`]: [pod.uid] } : {}),
  };
}

/** The user that a service account is. */
export function serviceAccountUser(namespace: string, { name, uid }: { name: string; uid?: string }): User {
  return {
    name: `${PREFIX}${namespace}:${name}`,
    ...(uid === undefined ? {} : { uid }),
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  };
}
