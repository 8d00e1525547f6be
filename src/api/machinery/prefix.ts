/** IP addresses and CIDR prefixes (such as `10.96.0.0/16` or `fd00:10:96::/112`) of both families. */
import { isIP } from 'node:net';
import { parseGroups, addressText as textOf } from './addresses.js';

export type IpFamily = 'IPv4' | 'IPv6';

const BITS = { IPv4: 32, IPv6: 128 } as const;

/** Of an address or a prefix that is known to be valid. */
export const familyOf = (text: string): IpFamily => (text.includes(':') ? 'IPv6' : 'IPv4');

export const otherFamily = (family: IpFamily): IpFamily => (family === 'IPv4' ? 'IPv6' : 'IPv4');

/** The bytes of an address, first byte first; a zone is dropped. @throws Error for what is no address. */
export function addressBytes(ip: string): Buffer {
  const family = isIP(ip);
  if (family === 0) throw new Error(`invalid IP address ${JSON.stringify(ip)}`);
  return family === 4 ? Buffer.from(ip.split('.').map(Number)) : bytesOf(ipv6Number(ip), 'IPv6');
}

/** Unlike {@link parseAddress} also of what ends as IPv4 does: `::ffff:192.0.2.1`. */
function ipv6Number(ip: string): bigint {
  const groups = ip.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes) => {
    const [a, b, c, d] = bytes.map(Number) as [number, number, number, number];
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  return parseGroups(groups)!;
}

const bytesOf = (value: bigint, family: IpFamily): Buffer =>
  Buffer.from(value.toString(16).padStart(BITS[family] / 4, '0'), 'hex');

export const addressNumber = (ip: string): bigint => BigInt(`0x${addressBytes(ip).toString('hex')}`);

export const addressText = (value: bigint, family: IpFamily): string =>
  textOf({ family: family === 'IPv4' ? 4 : 6, value });

/** Addresses by their place from the first on, the network's own included. */
export interface AddressRange {
  family: IpFamily;
  /** Bits of the prefix. */
  length: number;
  /** How many addresses there are; of more than a number can count only as many. */
  size: number;
  at(offset: number): string;
  /** -1 for what is not in the range. */
  offsetOf(ip: string): number;
  /** The prefix of `length` bits within that counts so, from 0. */
  part(index: number, length: number): string;
  /** As bytes: the first address, and the bits that its addresses have in common. */
  base: Buffer;
  mask: Buffer;
}

/** Host bits that are set are dropped. @throws Error for what is no prefix. */
export function parsePrefix(text: string): AddressRange {
  const [ip = '', bits = ''] = text.split('/');
  const length = Number(bits);
  const family = familyOf(ip);
  const width = BITS[family];
  if (isIP(ip) === 0 || !/^\d+$/.test(bits) || length > width)
    throw new Error(`invalid CIDR ${JSON.stringify(text)}`);
  const hostBits = BigInt(width - length);
  const number = addressNumber(ip);
  const first = (number >> hostBits) << hostBits;
  const size = Number(1n << hostBits);
  return {
    ...{ family, length, size: Math.min(size, Number.MAX_SAFE_INTEGER) },
    at: (offset) => addressText(first + BigInt(offset), family),
    offsetOf(other) {
      if (isIP(other) === 0 || familyOf(other) !== family) return -1;
      const offset = Number(addressNumber(other) - first);
      return offset >= 0 && offset < size ? offset : -1;
    },
    part: (index, bits) => `${addressText(first + (BigInt(index) << BigInt(width - bits)), family)}/${bits}`,
    base: bytesOf(first, family),
    mask: bytesOf(((1n << BigInt(width)) - 1n) ^ ((1n << hostBits) - 1n), family),
  };
}

/** Whether the address is of the prefix; both are valid. */
export const prefixHas = (prefix: string, ip: string): boolean => parsePrefix(prefix).offsetOf(ip) >= 0;

/** Whether `outer` has all of `inner`; of the same prefixes each has the other. */
export function prefixCovers(outer: string, inner: string): boolean {
  const [around, within] = [parsePrefix(outer), parsePrefix(inner)];
  return around.length <= within.length && around.offsetOf(within.at(0)) >= 0;
}
