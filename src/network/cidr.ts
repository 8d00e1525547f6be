/** IPv4 CIDR arithmetic on 32-bit numbers. */
import { isIPv4 } from 'node:net';

export interface Cidr {
  /** The network's address: host bits are zero. */
  base: number;
  /** Prefix length, 0 … 32. */
  length: number;
  /** How many addresses it holds. */
  size: number;
}

export function parseAddress(text: string): number {
  if (!isIPv4(text)) throw new Error(`invalid IPv4 address ${JSON.stringify(text)}`);
  return text.split('.').reduce((value, octet) => value * 256 + Number(octet), 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

/** `10.244.0.0/24`; host bits that are set are dropped. */
export function parseCidr(text: string): Cidr {
  const [address, bits] = text.split('/');
  const length = Number(bits);
  if (!bits || !/^\d+$/.test(bits) || length > 32) throw new Error(`invalid CIDR ${JSON.stringify(text)}`);
  const size = 2 ** (32 - length);
  const value = parseAddress(address!);
  return { base: value - (value % size), length, size };
}

export function contains(cidr: Cidr, address: number): boolean {
  return address >= cidr.base && address < cidr.base + cidr.size;
}
