/** Ranges of IP addresses as CIDR prefixes, such as `10.96.0.0/16`; of both families, and valid ones only. */
import { BlockList, isIPv6 } from 'node:net';

const familyOf = (ip: string) => (isIPv6(ip) ? 'ipv6' : 'ipv4');

function parts(prefix: string): { address: string; bits: number } {
  const [address = '', bits = ''] = prefix.split('/');
  return { address, bits: Number(bits) };
}

export function prefixHas(prefix: string, ip: string): boolean {
  const { address, bits } = parts(prefix);
  if (isIPv6(address) !== isIPv6(ip)) return false;
  const block = new BlockList();
  block.addSubnet(address, bits, familyOf(address));
  return block.check(ip, familyOf(ip));
}

/** Whether `outer` has all of `inner`; of the same prefixes each has the other. */
export function prefixCovers(outer: string, inner: string): boolean {
  const { address, bits } = parts(inner);
  return parts(outer).bits <= bits && prefixHas(outer, address);
}

/** An IPv4 prefix as numbers: its first address, and how many it has. */
export function ipv4Range(prefix: string): { first: number; size: number } {
  const { address, bits } = parts(prefix);
  const size = 2 ** (32 - bits);
  const number = ipv4Number(address);
  return { first: number - (number % size), size };
}

export const ipv4Number = (ip: string): number =>
  ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

export const ipv4Text = (n: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.');
