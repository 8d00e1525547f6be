/**
 * Tokens of Secrets of the type kubernetes.io/service-account-token: they do not end by themselves, but hold only while
 * their Secret has them and their account is there.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { decodeJwt, jwtVerify, SignJWT } from 'jose';
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

export interface LegacyTokens {
  issue(token: LegacyToken): Promise<string>;
  authenticate: TokenAuthenticator;
}

/** `find` gives the newest version of `<plural>` in the core group, or undefined. */
export function legacyTokens(
  key: SigningKey,
  find: (plural: string, namespace: string, name: string) => KubeObject | undefined,
): LegacyTokens {
  const [privateKey, publicKey] = [createPrivateKey(key.privateKey), createPublicKey(key.publicKey)];
  return {
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
      const holds = held === token && !secret?.metadata.deletionTimestamp;
      const uid = claim('service-account.uid');
      if (!holds || account?.metadata.uid !== uid || account.metadata.deletionTimestamp) throw unauthorized();
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
