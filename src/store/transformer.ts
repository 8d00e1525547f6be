/** What values pass on their way to disk and back: encryption at rest. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Key } from './store.js';

export interface Transformer {
  encode(key: Key, bytes: Buffer): Buffer;
  /** Throws TransformError for what it did not encode, or what was changed since. */
  decode(key: Key, bytes: Buffer): Buffer;
  /** Whether `encode` would make something else of it by now: it was written plain, or with an older key. */
  isStale?(key: Key, bytes: Buffer): boolean;
}

/** A value is there, but can't be read with the keys that are configured. */
export class TransformError extends Error {
  override readonly name = 'TransformError';
}

export const identityTransformer: Transformer = {
  encode: (_key, bytes) => bytes,
  decode: (_key, bytes) => bytes,
};

/** Which transformer the values of a resource pass, by `<group>/<plural>` of their keys. */
export type Choose = (resource: string) => Transformer | undefined;

/**
 * Passes each value to the transformer that `choose` has for its resource at this moment; plain values where it has
 * none, and what was encrypted before then is refused.
 */
export function resourceTransformer(choose: Choose): Transformer {
  const of = (key: Key) => choose(key.slice(0, key.indexOf('/', key.indexOf('/') + 1))) ?? unencrypted;
  return {
    encode: (key, bytes) => of(key).encode(key, bytes),
    decode: (key, bytes) => of(key).decode(key, bytes),
    isStale: (key, bytes) => of(key).isStale?.(key, bytes) ?? false,
  };
}

const unencrypted: Transformer = {
  encode: (_key, bytes) => bytes,
  decode(_key, bytes) {
    if (bytes[0] === PREFIX.charCodeAt(0) && bytes.toString('latin1', 0, PREFIX.length) === PREFIX)
      throw new TransformError(`it is ${keyName(bytes)}`);
    return bytes;
  },
};

/** One key of AES-256-GCM: 32 bytes of secret under a name that stands before each value. */
export interface AesKey {
  id: string;
  secret: Buffer;
}

const PREFIX = 'aesgcm:';
const NONCE = 12;
const TAG = 16;

/**
 * Encrypts with the first key and decrypts with any, so that keys can be changed by putting a new one in
 * front. A value is bound to its key in the store: it can't be moved to another object's place.
 * `readPlain`: values that were written before encryption are still read.
 */
export function aesTransformer(keys: AesKey[], { readPlain = false } = {}): Transformer {
  const [first] = keys;
  if (first === undefined) throw new Error('encryption at rest needs at least one key');
  for (const { id, secret } of keys) {
    if (secret.length !== 32)
      throw new Error(`encryption key ${id} has ${secret.length} bytes instead of 32`);
    if (id === '' || id.includes(':')) throw new Error(`encryption key id "${id}" is empty or has a colon`);
  }
  return {
    encode(key, bytes) {
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv('aes-256-gcm', first.secret, nonce);
      cipher.setAAD(Buffer.from(key));
      const head = Buffer.from(`${PREFIX}${first.id}:`);
      return Buffer.concat([head, nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
    },
    decode(key, bytes) {
      const found = keys.find(({ id }) => isOf(id, bytes));
      if (found === undefined) {
        if (readPlain && bytes[0] === OPEN_BRACE) return bytes;
        throw new TransformError(`it is ${keyName(bytes)}`);
      }
      const body = bytes.subarray(PREFIX.length + found.id.length + 1);
      if (body.length < NONCE + TAG) throw new TransformError('it is cut off');
      const decipher = createDecipheriv('aes-256-gcm', found.secret, body.subarray(0, NONCE));
      decipher.setAAD(Buffer.from(key));
      decipher.setAuthTag(body.subarray(body.length - TAG));
      try {
        return Buffer.concat([decipher.update(body.subarray(NONCE, body.length - TAG)), decipher.final()]);
      } catch {
        throw new TransformError(
          `it does not open with the key "${found.id}": that key has another secret now, or the value was changed`,
        );
      }
    },
    isStale: (_key, bytes) => !isOf(first.id, bytes),
  };
}

/** JSON that was never encrypted starts so. */
const OPEN_BRACE = 0x7b;

const isOf = (id: string, bytes: Buffer): boolean =>
  bytes.subarray(0, PREFIX.length + id.length + 1).equals(Buffer.from(`${PREFIX}${id}:`));

/** Which key a value needs, as far as it tells. */
function keyName(bytes: Buffer): string {
  const id = /^aesgcm:([^:]{1,256}):/.exec(bytes.toString('latin1', 0, 300))?.[1];
  return id === undefined
    ? 'not encrypted, or not with a key that is configured'
    : `encrypted with the key "${id}", which is not configured`;
}
