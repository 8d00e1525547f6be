/**
 * What the cluster knows of people and nodes by name, beside their certificates: a Secret of kube-system each, so that
 * it is kept encrypted with the rest of the database.
 */
import { createHash } from 'node:crypto';
import type { Secret } from '#types';

export interface Identity {
  /** As authentication tells it: `alice`, `system:node:node-1`. */
  name: string;
  groups: string[];
  /** When the last certificate that is known of ends (RFC 3339). */
  expires?: string;
  /** Certificates from this moment or before it do not count (milliseconds since the epoch). */
  validFrom?: number;
  /** Whether nobody of this name may come in, but for certificates made since `validFrom`. */
  removed: boolean;
}

const TYPE = 'keelson.dev/identity';
export const IDENTITY_LABEL = 'keelson.dev/identity';
export const IDENTITY_NAMESPACE = 'kube-system';
export const IDENTITY_PREFIX = 'keelson-identity-';

/** Names of people need not be names of objects. */
export const identitySecretName = (name: string): string =>
  IDENTITY_PREFIX + createHash('sha256').update(name).digest('hex').slice(0, 32);

export function identitySecret({ name, groups, expires, validFrom, removed }: Identity): Secret {
  const data = {
    name,
    groups: groups.join('\n'),
    ...(expires === undefined ? {} : { expires }),
    ...(validFrom === undefined ? {} : { 'valid-from': new Date(validFrom).toISOString() }),
    ...(removed ? { removed: 'true' } : {}),
  };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: identitySecretName(name),
      namespace: IDENTITY_NAMESPACE,
      labels: { [IDENTITY_LABEL]: name.startsWith('system:node:') ? 'node' : 'user' },
    },
    type: TYPE,
    data: Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
  };
}

/** Undefined for a Secret of another type. */
export function readIdentity({ type, data = {} }: Secret): Identity | undefined {
  if (type !== TYPE) return undefined;
  const value = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  const validFrom = Date.parse(value('valid-from'));
  const expires = value('expires');
  return {
    name: value('name'),
    groups: value('groups')
      .split('\n')
      .filter((group) => group !== ''),
    ...(expires === '' ? {} : { expires }),
    ...(Number.isNaN(validFrom) ? {} : { validFrom }),
    removed: value('removed') === 'true',
  };
}
