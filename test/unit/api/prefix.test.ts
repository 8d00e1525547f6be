import assert from 'node:assert/strict';
import { parseAddress } from '../../../src/api/machinery/addresses.js';
import { canonicalIp } from '../../../src/api/machinery/ip.js';
import {
  addressBytes,
  addressNumber,
  addressText,
  familyOf,
  parsePrefix,
  prefixCovers,
  prefixHas,
} from '../../../src/api/machinery/prefix.js';

describe('IP addresses', () => {
  for (const [text, bytes, canonical] of [
    ['10.244.0.5', '0af40005', '10.244.0.5'],
    ['fd00:0:0::5', 'fd000000000000000000000000000005', 'fd00::5'],
    ['::', '00000000000000000000000000000000', '::'],
    ['2001:DB8:0:1:1:1:1:1', '20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:1.2.3.4', '00000000000000000000ffff01020304', '::ffff:102:304'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
    ['1:0:0:2:0:0:0:3', '00010000000000020000000000000003', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '00010000000000020003000000000004', '1::2:3:0:0:4'],
  ] as const)
    it(`are bytes and one text: ${text}`, () => {
      assert.equal(addressBytes(text).toString('hex'), bytes);
      assert.equal(canonicalIp(text), canonical);
      assert.equal(addressText(BigInt(`0x${bytes}`), familyOf(text)), canonical);
    });

  it('are the same to expressions, except IPv4 in IPv6', () => {
    for (const text of ['10.0.0.1', '::', 'fd00::5', '1:2:3:4:5:6:7::', '2001:DB8::A'])
      assert.equal(parseAddress(text)?.value, addressNumber(text), text);
    for (const text of [
      '::ffff:1.2.3.4',
      '::ffff:102:304',
      'fe80::1%eth0',
      '10.0.0.01',
      '1::2::3',
      ':1',
      '10.0.0',
    ])
      assert.equal(parseAddress(text), undefined, text);
  });

  it('are refused when they are none', () => {
    assert.throws(() => addressBytes('10.0.0'), /invalid IP address "10\.0\.0"/);
    assert.equal(canonicalIp('fe80::1%eth0'), undefined);
  });
});

describe('prefixes', () => {
  for (const [text, size, first, last, mask] of [
    ['10.96.0.9/16', 65536, '10.96.0.0', '10.96.255.255', 'ffff0000'],
    ['0.0.0.0/0', 2 ** 32, '0.0.0.0', '255.255.255.255', '00000000'],
    ['10.0.0.1/32', 1, '10.0.0.1', '10.0.0.1', 'ffffffff'],
    ['fd00:10:96::7/112', 65536, 'fd00:10:96::', 'fd00:10:96::ffff', `${'f'.repeat(28)}0000`],
  ] as const)
    it(`have a first address, a size and a mask: ${text}`, () => {
      const range = parsePrefix(text);
      assert.deepEqual(
        [range.size, range.at(0), range.at(range.size - 1), range.mask.toString('hex')],
        [size, first, last, mask],
      );
      assert.deepEqual([range.offsetOf(first), range.offsetOf(last)], [0, size - 1]);
    });

  it('are cut into parts', () => {
    assert.equal(parsePrefix('10.244.0.0/16').part(3, 24), '10.244.3.0/24');
    assert.equal(parsePrefix('fd00:10:244::/56').part(255, 64), 'fd00:10:244:ff::/64');
  });

  for (const bad of ['10.0.0.0', '10.0.0/24', '10.0.0.0/33', 'fd00::/129', 'fd00::/', 'x/8', ''])
    it(`are not ${JSON.stringify(bad)}`, () => assert.throws(() => parsePrefix(bad), /invalid CIDR/));

  it('have addresses and prefixes of their own family only', () => {
    assert.equal(prefixHas('0.0.0.0/0', 'fd00::1'), false);
    assert.equal(prefixHas('fd00::/8', 'fdff::1'), true);
    assert.equal(prefixHas('fd00::/8', 'fe00::1'), false);
    assert.equal(prefixCovers('fd00::/8', 'fd00:1::/32'), true);
    assert.equal(prefixCovers('fd00:1::/32', 'fd00::/8'), false);
    assert.equal(prefixCovers('::/0', '10.0.0.0/8'), false);
  });
});
