/** Tokens of pods' accounts for plugins that give credentials (KEP-4412). */
import { createHash } from 'node:crypto';
import type { Pod } from '#types';
import type { KubeObject } from '../../api/machinery/types.js';
import type { Source } from './keyring.js';

/** `tokenAttributes` of a plugin. */
export interface TokenAttributes {
  audience: string;
  /** Its answers are for an account, else for one token. */
  perAccount: boolean;
  /** It is not asked for pods without an account. */
  requiresAccount: boolean;
  /** Annotations of the account that it gets; where a required one is missing, it is not asked. */
  requiredAnnotations: string[];
  optionalAnnotations: string[];
}

/** What the API has of a pod's account. */
export interface PodAccounts {
  account(pod: Pod): Promise<KubeObject>;
  token(pod: Pod, audience: string, seconds: number): Promise<{ token: string }>;
}

/** For whom a plugin is asked. */
export interface Identity {
  /** What its answers are kept under. */
  key: string;
  token?: string;
  annotations?: Record<string, string>;
  account?: Source;
}

export const NOBODY: Identity = { key: '' };

/** The API's default. */
const TOKEN_SECONDS = 3600;

const KNOWN = [
  ...['serviceAccountTokenAudience', 'cacheType', 'requireServiceAccount'],
  ...['requiredServiceAccountAnnotationKeys', 'optionalServiceAccountAnnotationKeys'],
];

/** `fail` throws. */
export function readTokenAttributes(
  attributes: Record<string, unknown>,
  apiVersion: string,
  fail: (why: string) => never,
): TokenAttributes {
  const wrong = (field: string, why: string) => fail(`tokenAttributes.${field}: ${why}`);
  for (const field of Object.keys(attributes)) if (!KNOWN.includes(field)) wrong(field, 'unknown field');
  if (!apiVersion.endsWith('/v1'))
    fail(`tokenAttributes is only supported for credentialprovider.kubelet.k8s.io/v1 API version`);
  const { serviceAccountTokenAudience: audience, cacheType, requireServiceAccount } = attributes;
  if (typeof audience !== 'string' || !audience)
    return wrong('serviceAccountTokenAudience', 'Required value: serviceAccountTokenAudience is required');
  if (typeof requireServiceAccount !== 'boolean')
    return wrong('requireServiceAccount', 'Required value: requireServiceAccount is required');
  if (cacheType !== 'ServiceAccount' && cacheType !== 'Token')
    return wrong(
      'cacheType',
      `Unsupported value: ${JSON.stringify(cacheType ?? '')}: supported values: "ServiceAccount", "Token"`,
    );
  const keys = (field: string): string[] => {
    const list = attributes[field] ?? [];
    if (!Array.isArray(list) || list.some((key) => typeof key !== 'string' || !key))
      return wrong(field, 'is no list of annotations');
    const twice = list.find((key, i) => list.indexOf(key) !== i);
    return twice === undefined ? list : wrong(field, `Duplicate value: ${JSON.stringify(twice)}`);
  };
  const requiredAnnotations = keys('requiredServiceAccountAnnotationKeys');
  const optionalAnnotations = keys('optionalServiceAccountAnnotationKeys');
  if (requiredAnnotations.length > 0 && !requireServiceAccount)
    wrong('requiredServiceAccountAnnotationKeys', 'Forbidden: requireServiceAccount cannot be false');
  const both = requiredAnnotations.find((key) => optionalAnnotations.includes(key));
  if (both) wrong('optionalServiceAccountAnnotationKeys', `${JSON.stringify(both)} is required as well`);
  return {
    ...{ audience, perAccount: cacheType === 'ServiceAccount', requiresAccount: requireServiceAccount },
    ...{ requiredAnnotations, optionalAnnotations },
  };
}

/** Undefined: the plugin is not to be asked for this pod. Rejects when there is no token for it. */
export async function identityOf(
  attributes: TokenAttributes,
  pod: Pod,
  accounts: PodAccounts,
): Promise<Identity | undefined> {
  // Static pods have none.
  if (!pod.spec.serviceAccountName) return attributes.requiresAccount ? undefined : NOBODY;
  const { metadata } = await accounts.account(pod);
  const all = metadata.annotations ?? {};
  if (attributes.requiredAnnotations.some((key) => !(key in all))) return undefined;
  const annotations: Record<string, string> = {};
  for (const key of [...attributes.requiredAnnotations, ...attributes.optionalAnnotations].sort())
    if (key in all) annotations[key] = all[key]!;
  const { token } = await accounts.token(pod, attributes.audience, TOKEN_SECONDS);
  const { uid = '', namespace = '', name = '' } = metadata;
  const own = attributes.perAccount ? [] : [createHash('sha256').update(token).digest('hex')];
  return {
    key: JSON.stringify([namespace, name, uid, annotations, ...own]),
    token,
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    account: { uid: attributes.perAccount ? uid : '', namespace, name },
  };
}
