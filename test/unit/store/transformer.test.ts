/** Encryption at rest. */
import assert from 'node:assert/strict';
import { aesTransformer, identityTransformer } from '../../../src/store/transformer.js';

describe('transformers', () => {
  const one = { id: 'one', secret: Buffer.alloc(32, 1) };
  const two = { id: 'two', secret: Buffer.alloc(32, 2) };
  const plain = Buffer.from('{"kind":"Secret"}');

  it('identity leaves bytes as they are', () => {
    assert.equal(identityTransformer.decode('k', identityTransformer.encode('k', plain)), plain);
  });

  it('AES gives back what it was given, and never encrypts twice alike', () => {
    const aes = aesTransformer([one]);
    const encrypted = aes.encode('k', plain);
    assert.ok(!encrypted.includes('Secret'));
    assert.ok(encrypted.toString('latin1').startsWith('aesgcm:one:'));
    assert.deepEqual(aes.decode('k', encrypted), plain);
    assert.notDeepEqual(aes.encode('k', plain), encrypted);
    assert.deepEqual(aes.decode('k', aes.encode('k', Buffer.alloc(0))), Buffer.alloc(0));
  });

  it('reads with old keys and writes with the first', () => {
    const old = aesTransformer([one]).encode('k', plain);
    const both = aesTransformer([two, one]);
    assert.deepEqual(both.decode('k', old), plain);
    assert.ok(both.encode('k', plain).toString('latin1').startsWith('aesgcm:two:'));
  });

  it('refuses what was changed, moved, cut off, or encrypted with another key', () => {
    const aes = aesTransformer([one]);
    const encrypted = aes.encode('k', plain);
    for (let i = 0; i < encrypted.length; i++) {
      const changed = Buffer.from(encrypted);
      changed[i]! ^= 1;
      assert.throws(() => aes.decode('k', changed), `byte ${i}`);
    }
    assert.throws(() => aes.decode('other', encrypted));
    for (let size = 0; size < encrypted.length; size++)
      assert.throws(() => aes.decode('k', encrypted.subarray(0, size)), `${size} bytes`);
    assert.throws(() => aesTransformer([two]).decode('k', encrypted), /not configured/);
  });

  it('reads what was written before encryption only if told to', () => {
    assert.throws(() => aesTransformer([one]).decode('k', plain), /not encrypted/);
    assert.deepEqual(aesTransformer([one], { readPlain: true }).decode('k', plain), plain);
  });

  it('refuses unusable keys', () => {
    assert.throws(() => aesTransformer([]), /at least one key/);
    assert.throws(() => aesTransformer([{ id: 'x', secret: Buffer.alloc(16) }]), /16 bytes instead of 32/);
    assert.throws(() => aesTransformer([{ id: 'a:b', secret: Buffer.alloc(32) }]), /colon/);
  });
});
