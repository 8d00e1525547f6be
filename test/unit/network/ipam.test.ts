import assert from 'node:assert/strict';
import { AddressPool } from '../../../src/network/ipam.js';

describe('AddressPool', () => {
  it('gives the lowest address after the gateway, and the same one again', () => {
    const pool = new AddressPool('10.244.3.0/24');
    assert.equal(pool.gateway, '10.244.3.1');
    assert.equal(pool.gatewayCidr, '10.244.3.1/24');
    assert.equal(pool.allocate('a'), '10.244.3.2');
    assert.equal(pool.allocate('b'), '10.244.3.3');
    assert.equal(pool.allocate('a'), '10.244.3.2');
  });

  it('uses a released address again only after the others', () => {
    const pool = new AddressPool('10.0.0.0/29');
    assert.equal(pool.allocate('a'), '10.0.0.2');
    pool.release('a');
    const order = ['b', 'c', 'd', 'e', 'f'].map((owner) => pool.allocate(owner));
    assert.deepEqual(order, ['10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.2']);
    assert.throws(() => pool.allocate('g'), /no free address in pod CIDR 10\.0\.0\.0\/29: all 5 are in use/);
    pool.release('d');
    assert.equal(pool.allocate('g'), '10.0.0.5');
  });

  it('takes note of addresses that were given before', () => {
    const pool = new AddressPool('10.0.0.0/24');
    assert.equal(pool.reserve('a', '10.0.0.9'), true);
    assert.equal(pool.reserve('a', '10.0.0.9'), true);
    assert.equal(pool.reserve('b', '10.0.0.9'), false);
    assert.equal(pool.reserve('b', '10.0.1.9'), false);
    assert.equal(pool.reserve('b', '10.0.0.1'), false, 'the gateway');
    assert.equal(pool.allocate('a'), '10.0.0.9');
    assert.equal(pool.allocate('b'), '10.0.0.10');
  });

  it('gives IPv6 addresses in their canonical form', () => {
    const pool = new AddressPool('fd00:10:244:0::/64');
    assert.equal(pool.gatewayCidr, 'fd00:10:244::1/64');
    assert.equal(pool.allocate('a'), 'fd00:10:244::2');
    assert.equal(pool.reserve('b', 'fd00:10:244:0:0::1f'), true);
    assert.equal(pool.allocate('c'), 'fd00:10:244::20');
    assert.equal(pool.reserve('d', 'fd00:10:245::5'), false);
    assert.equal(pool.reserve('d', '10.0.0.5'), false);
  });

  for (const bad of ['10.0.0.0', '10.0.0/24', '10.0.0.0/33', 'fd00::/127', '10.0.0.0/31', ''])
    it(`refuses ${JSON.stringify(bad)}`, () => assert.throws(() => new AddressPool(bad)));
});
