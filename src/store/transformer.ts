/** What values pass on their way to disk and back: encryption at rest. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Key } from './store.js';

export interface Transformer {
  encode(key: Key, bytes: Buffer): Buffer;
  /** Throws for what it did not encode, or what was changed since. */
  decode(key: Key, bytes: Buffer): Buffer;
}

export const identityTransformer: Transformer = {
  encode: (_key, bytes) => bytes,
  decode: (_key, bytes) => bytes,
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
      const found = keys.find(({ id }) =>
        bytes.subarray(0, PREFIX.length + id.length + 1).equals(Buffer.from(`${PREFIX}${id}:`)),
      );
      if (found === undefined) {
        if (readPlain && bytes[0] === 0x7b) return bytes;
        throw new Error('it is encrypted with a key that is not configured, or not encrypted');
      }
      const body = bytes.subarray(PREFIX.length + found.id.length + 1);
      const decipher = createDecipheriv('aes-256-gcm', found.secret, body.subarray(0, NONCE));
      decipher.setAAD(Buffer.from(key));
      decipher.setAuthTag(body.subarray(body.length - TAG));
      return Buffer.concat([decipher.update(body.subarray(NONCE, body.length - TAG)), decipher.final()]);
    },
  };
}
