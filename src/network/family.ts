/** What differs between the IP families where the kernel's tables are concerned. */
import type { IpFamily } from '../api/machinery/prefix.js';

export interface Family {
  name: IpFamily;
  /** Of the cluster's tables: those of IPv4 are of both families, where IPv6 has its own beside. */
  table: 'inet' | 'ip6';
  /** That number. (`NFPROTO_…`) */
  tableNumber: number;
  /** Of addresses in rules: its number, its name and the type's name. */
  number: number;
  nft: 'ip' | 'ip6';
  type: 'ipv4_addr' | 'ipv6_addr';
  /** Registers of 4 bytes that an address takes. */
  words: 1 | 4;
  /** Where addresses are in the header. */
  source: number;
  destination: number;
  loopback: string;
  icmp: 'icmp' | 'icmpv6';
}

/** The destination of a default route. */
export const ANYWHERE = { IPv4: 'default', IPv6: '::/0' } as const;

const INET = 1;
const IPV4 = 2;
const IPV6 = 10;

export const FAMILIES: Record<IpFamily, Family> = {
  IPv4: {
    ...{ name: 'IPv4', table: 'inet', tableNumber: INET, number: IPV4, nft: 'ip', type: 'ipv4_addr' },
    ...{ words: 1, source: 12, destination: 16, loopback: '127.0.0.0/8', icmp: 'icmp' },
  },
  IPv6: {
    ...{ name: 'IPv6', table: 'ip6', tableNumber: IPV6, number: IPV6, nft: 'ip6', type: 'ipv6_addr' },
    ...{ words: 4, source: 8, destination: 24, loopback: '::1', icmp: 'icmpv6' },
  },
};
