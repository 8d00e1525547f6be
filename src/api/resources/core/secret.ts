/** Secrets. */
import type { Secret } from '#types';
import { type FieldError, invalid, key, required, tooLong } from '../../machinery/field.js';
import { configMapKey } from '../../machinery/names.js';
import { checked, validateImmutable } from '../../machinery/validation.js';
import { ageColumn, nameColumn } from '../columns.js';
import { defineResource } from '../define.js';
import { MAX_DATA_BYTES, validateUnchanged } from './config-map.js';

const SERVICE_ACCOUNT = 'kubernetes.io/service-account.name';

function defaults(secret: Secret): void {
  secret.type ||= 'Opaque';
  if (!secret.stringData) return;
  // Write-only: what is given as text is kept as bytes.
  const data = { ...secret.data };
  for (const [name, value] of Object.entries(secret.stringData))
    data[name] = Buffer.from(value).toString('base64');
  if (Object.keys(data).length > 0) secret.data = data;
  delete secret.stringData;
}

function validate(secret: Secret): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const [name, value] of Object.entries(secret.data ?? {})) {
    errors.push(...checked(key('data', name), name, configMapKey));
    size += Buffer.byteLength(value, 'base64');
  }
  if (size > MAX_DATA_BYTES) errors.push(tooLong('data', MAX_DATA_BYTES));
  return [...errors, ...validateType(secret)];
}

/** What the well-known types must hold. */
function validateType(secret: Secret): FieldError[] {
  const has = (name: string) => secret.data?.[name] !== undefined;
  const missing = (...names: string[]) => names.map((name) => required(key('data', name)));
  switch (secret.type) {
    case 'kubernetes.io/service-account-token':
      return secret.metadata.annotations?.[SERVICE_ACCOUNT]
        ? []
        : [required(key('metadata.annotations', SERVICE_ACCOUNT))];
    case 'kubernetes.io/dockercfg':
      return has('.dockercfg') ? validateJson(secret, '.dockercfg') : missing('.dockercfg');
    case 'kubernetes.io/dockerconfigjson':
      return has('.dockerconfigjson')
        ? validateJson(secret, '.dockerconfigjson')
        : missing('.dockerconfigjson');
    case 'kubernetes.io/basic-auth':
      return has('username') || has('password') ? [] : missing('username', 'password');
    case 'kubernetes.io/ssh-auth':
      return secret.data?.['ssh-privatekey'] ? [] : missing('ssh-privatekey');
    case 'kubernetes.io/tls':
      return missing(...['tls.crt', 'tls.key'].filter((name) => !has(name)));
    default:
      return [];
  }
}

function validateJson(secret: Secret, name: string): FieldError[] {
  const text = Buffer.from(secret.data![name]!, 'base64').toString();
  const wrong = (detail: string) => [invalid(key('data', name), '<secret contents redacted>', detail)];
  if (text.trim() === '') return wrong('unexpected end of JSON input');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && !Array.isArray(value)) return [];
    return wrong('json: cannot unmarshal into an object');
  } catch (error) {
    return wrong((error as Error).message);
  }
}

export const secrets = defineResource<Secret>({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  namespaced: true,
  defaults,
  validate,
  validateUpdate: (secret, old) => [
    ...validateImmutable(secret.type, old.type, 'type'),
    ...validateUnchanged(secret, old, ['data']),
  ],
  columns: [
    nameColumn,
    {
      name: 'Type',
      type: 'string',
      description: 'What the secret is for.',
      cell: (secret) => secret.type ?? '',
    },
    {
      name: 'Data',
      type: 'string',
      description: 'Number of keys.',
      cell: (secret) => Object.keys(secret.data ?? {}).length,
    },
    ageColumn,
  ],
  fields: { type: (secret) => secret.type ?? '' },
});
