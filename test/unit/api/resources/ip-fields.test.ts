/** Fields that hold IP addresses and prefixes: what is refused, and what is warned of. */
import assert from 'node:assert/strict';
import { describe as text } from '../../../../src/api/machinery/field.js';
import { cidrWarnings, ipWarnings, validateCidr, validateIp } from '../../../../src/api/machinery/ip.js';

describe('fields of IP addresses', () => {
  const NO_IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
  const NO_CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
  for (const [validate, value, rule] of [
    [validateIp, '10.0.0.1', ''],
    [validateIp, '0.0.0.0', ''],
    [validateIp, 'FD00:0::1', ''],
    [validateIp, '10.0.0', NO_IP],
    [validateIp, '10.0.0.256', NO_IP],
    [validateIp, 'fe80::1%eth0', NO_IP],
    [validateIp, '010.0.0.1', 'must not have leading 0s'],
    [validateIp, '10.00.0.1', 'must not have leading 0s'],
    [validateIp, '10.0.0.01', 'must not have leading 0s'],
    [validateIp, '::ffff:10.0.0.1', 'must not be an IPv4-mapped IPv6 address'],
    [validateIp, '::ffff:10.0.0.01', 'must not have leading 0s'],
    [validateCidr, '10.0.0.0/8', ''],
    [validateCidr, '0.0.0.0/0', ''],
    [validateCidr, 'fd00::/64', ''],
    [validateCidr, '10.0.0.0', NO_CIDR],
    [validateCidr, '10.0.0.0/33', NO_CIDR],
    [validateCidr, '10.0.0.0/8/8', NO_CIDR],
    [validateCidr, '10.0.0.0/08', 'must not have leading 0s in IP or prefix length'],
    [validateCidr, '010.0.0.0/8', 'must not have leading 0s in IP or prefix length'],
    [validateCidr, '::ffff:10.0.0.0/104', 'must not have an IPv4-mapped IPv6 address'],
    [validateCidr, '10.0.0.1/8', 'must not have bits set beyond the prefix length'],
    [validateCidr, 'fd00::1/64', 'must not have bits set beyond the prefix length'],
  ] as const)
    it(`${value}: ${rule || 'valid'}`, () => {
      const expected = rule === '' ? [] : [`f: Invalid value: ${JSON.stringify(value)}: ${rule}`];
      assert.deepEqual(validate(value, 'f').map(text), expected);
    });

  it('IPv6 that is not in canonical form is warned of', () => {
    assert.deepEqual(ipWarnings('10.0.0.1', 'f'), []);
    assert.deepEqual(ipWarnings('fd00::1', 'f'), []);
    assert.deepEqual(ipWarnings('FD00:0::1', 'f'), [
      'f: IPv6 address "FD00:0::1" should be in RFC 5952 canonical format ("fd00::1")',
    ]);
    assert.deepEqual(cidrWarnings('FD00::/64', 'f'), [
      'f: IPv6 CIDR value "FD00::/64" should be in RFC 5952 canonical format ("fd00::/64")',
    ]);
  });
});
