/**
 * Tokens of Secrets of the type kubernetes.io/service-account-token: they do not end by themselves, but hold only while
 * their Secret has them and their account is there.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { decodeJwt, jwtVerify, SignJWT } from 'jose';
import { type Clock, timestamp } from '../../api/machinery/clock.js';
import { unauthorized } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { TokenAuthenticator } from '../authenticate.js';
import type { SigningKey } from '../pki.js';
import { serviceAccountUser } from './service-account.js';

const ALGORITHM = 'ES256';
const ISSUER = 'kubernetes/serviceaccount';
const CLAIM = 'kubernetes.io/serviceaccount/';

export interface LegacyToken {
  namespace: string;
  /** Names of the Secret and of the account, and the account's uid. */
  secret: string;
  account: string;
  uid: string;
}

/** The day of a token's last use (UTC) and that since which it holds no more, as labels of its Secret. */
const LAST_USED = 'kubernetes.io/legacy-token-last-used';
const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';

/** Told once a day of each token that is in use: the labels that its Secret should have. */
export type TokenUsed = (namespace: string, secret: string, labels: Record<string, string>) => void;

export interface LegacyTokens {
  /** Who keeps the labels of Secrets; nobody at first. */
  onUse(used: TokenUsed): void;
  issue(token: LegacyToken): Promise<string>;
  authenticate: TokenAuthenticator;
}

/** `find` gives the newest version of `<plural>` in the core group, or undefined. */
export function legacyTokens(
  key: SigningKey,
  find: (plural: string, namespace: string, name: string) => KubeObject | undefined,
  clock: Clock,
): LegacyTokens {
  const [privateKey, publicKey] = [createPrivateKey(key.privateKey), createPublicKey(key.publicKey)];
  let used: TokenUsed = () => undefined;
  /** The day by Secret: its label is only there after a while. */
  const told = new Map<string, string>();
  const tell = (namespace: string, secret: string, today: string) => {
    const id = `${namespace}/${secret}`;
    if (told.get(id) === today) return;
    told.set(id, today);
    used(namespace, secret, { [LAST_USED]: today });
  };
  return {
    onUse: (callback) => {
      used = callback;
    },
    issue: ({ namespace, secret, account, uid }) =>
      new SignJWT({
        [`${CLAIM}namespace`]: namespace,
        [`${CLAIM}secret.name`]: secret,
        [`${CLAIM}service-account.name`]: account,
        [`${CLAIM}service-account.uid`]: uid,
      })
        .setProtectedHeader({ alg: ALGORITHM, kid: key.id })
        .setIssuer(ISSUER)
        .setSubject(`system:serviceaccount:${namespace}:${account}`)
        .sign(privateKey),
    async authenticate(token) {
      if (issuerOf(token) !== ISSUER) return undefined;
      const { payload } = await jwtVerify(token, publicKey, { algorithms: [ALGORITHM], issuer: ISSUER });
      const claim = (name: string) => String(payload[CLAIM + name] ?? '');
      const namespace = claim('namespace');
      const secret = find('secrets', namespace, claim('secret.name'));
      const name = claim('service-account.name');
      const account = find('serviceaccounts', namespace, name);
      const held = Buffer.from(secret?.['data']?.token ?? '', 'base64').toString();
      const { deletionTimestamp, labels = {} } = secret?.metadata ?? {};
      const holds = held === token && !deletionTimestamp && !labels[INVALID_SINCE];
      const uid = claim('service-account.uid');
      if (!holds || account?.metadata.uid !== uid || account.metadata.deletionTimestamp) throw unauthorized();
      const today = timestamp(clock.now()).slice(0, 10);
      if (labels[LAST_USED] !== today) tell(namespace, secret!.metadata.name, today);
      return serviceAccountUser(namespace, { name, uid });
    },
  };
}

function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}
