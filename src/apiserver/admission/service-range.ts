/** A range of IPv4 addresses for Services, and which of it is given next. */
import { isIPv4 } from 'node:net';
import { ipv4Range, ipv4Text } from '../../api/machinery/prefix.js';

export interface AddressRange {
  /** How many addresses there are, the network's own included. */
  size: number;
  at(offset: number): string;
}

/** An IPv4 prefix that is known to be valid. */
export function addressRange(cidr: string): AddressRange {
  const { first, size } = ipv4Range(cidr);
  return { size, at: (offset) => ipv4Text(first + offset) };
}

/** An IPv4 range such as `10.96.0.0/16`. Throws for anything else. */
export function parseRange(cidr: string): AddressRange {
  const [address = '', bits = ''] = cidr.split('/');
  const prefix = Number(bits);
  if (!isIPv4(address) || !/^\d+$/.test(bits) || prefix < 8 || prefix > 30)
    throw new Error(`service range ${cidr} is not an IPv4 range of 4 to 16 million addresses`);
  return addressRange(cidr);
}

/**
 * Random in the upper part first; the lower part is left to who asks for an address (KEP-3070). Undefined if none is
 * free.
 */
export function freeAddress(
  { size, at }: AddressRange,
  isTaken: (ip: string) => boolean,
  random: () => number,
): string | undefined {
  const reserved = Math.max(1, Math.min(Math.max(16, Math.floor(size / 16)), 256, size - 2));
  const parts: [number, number][] = [
    [reserved, size - 1],
    [1, reserved],
  ];
  for (const [from, to] of parts) {
    const start = Math.floor(random() * Math.max(0, to - from));
    for (let i = 0; i < to - from; i++) {
      const ip = at(from + ((start + i) % (to - from)));
      if (!isTaken(ip)) return ip;
    }
  }
  return undefined;
}
