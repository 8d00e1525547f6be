/** EncryptionConfiguration as it stands in a file. */
import { parse, stringify } from 'yaml';
import { ConfigurationError } from '../auth/configuration-error.js';
import type { AesKey } from '../store/index.js';

/** Resources and the keys of theirs: the first encrypts, all decrypt. */
export interface EncryptionRule {
  /** `secrets`, `deployments.apps`, `*.apps`, `*.*`. */
  resources: string[];
  /** Empty: not encrypted. */
  keys: AesKey[];
  /** Values from before encryption are read, too. */
  readPlain: boolean;
}

const API_VERSION = 'apiserver.config.k8s.io/v1';
const KEY_NAME = /^[A-Za-z0-9._-]{1,200}$/;

/** Throws a ConfigurationError of one sentence that names the file. */
export function parseEncryption(text: string, file: string): EncryptionRule[] {
  const fail = (why: string): never => {
    throw new ConfigurationError(`The file with encryption keys, ${file}, can't be used: ${why}.`);
  };
  let config: any;
  try {
    config = parse(text);
  } catch {
    return fail('it is not YAML');
  }
  if (config?.apiVersion !== API_VERSION || config.kind !== 'EncryptionConfiguration')
    return fail(`it is not an EncryptionConfiguration of ${API_VERSION}`);
  if (!Array.isArray(config.resources) || config.resources.length === 0) return fail('it has no resources');
  return config.resources.map((entry: any, i: number) => {
    const at = `resources[${i}]`;
    if (!isTexts(entry?.resources)) fail(`${at}.resources is not a list of names`);
    if (!Array.isArray(entry.providers) || entry.providers.length === 0) fail(`${at} has no providers`);
    return rule(entry, at, fail);
  });
}

const isTexts = (list: unknown): list is string[] =>
  Array.isArray(list) && list.length > 0 && list.every((text) => typeof text === 'string' && text !== '');

function rule(entry: any, at: string, fail: (why: string) => never): EncryptionRule {
  const keys: AesKey[] = [];
  let readPlain = false;
  for (const [i, provider] of entry.providers.entries()) {
    const [name] = Object.keys(provider ?? {});
    if (name === 'identity') {
      readPlain = true;
      if (i === 0 && entry.providers.length > 1)
        fail(`${at}: the provider identity before others would decrypt, which is not supported`);
    } else if (name === 'aesgcm') {
      for (const key of provider.aesgcm?.keys ?? []) keys.push(aesKey(key, at, fail));
    } else {
      fail(`${at} has the provider ${JSON.stringify(name)}; aesgcm and identity are known`);
    }
  }
  const names = keys.map(({ id }) => id);
  if (new Set(names).size < names.length) fail(`${at} has two keys of one name`);
  if (keys.length === 0 && !readPlain) fail(`${at} has no keys`);
  return { resources: entry.resources, keys, readPlain };
}

function aesKey(key: any, at: string, fail: (why: string) => never): AesKey {
  if (typeof key?.name !== 'string' || !KEY_NAME.test(key.name))
    return fail(`${at} has a key whose name is not of letters, digits, dots and dashes`);
  const secret = Buffer.from(String(key.secret ?? ''), 'base64');
  if (secret.length !== 32)
    return fail(`the secret of the key "${key.name}" has ${secret.length} bytes instead of 32 in base64`);
  return { id: key.name, secret };
}

export function renderEncryption(rules: EncryptionRule[]): string {
  const text = stringify({
    apiVersion: API_VERSION,
    kind: 'EncryptionConfiguration',
    resources: rules.map(({ resources, keys, readPlain }) => ({
      resources,
      providers: [
        ...(keys.length === 0
          ? []
          : [
              {
                aesgcm: {
                  keys: keys.map(({ id, secret }) => ({ name: id, secret: secret.toString('base64') })),
                },
              },
            ]),
        ...(readPlain ? [{ identity: {} }] : []),
      ],
    })),
  });
  return `# The database can't be read without these keys: keep a copy apart from it.\n${text}`;
}
