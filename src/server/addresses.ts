/** This machine's addresses. */
import { networkInterfaces } from 'node:os';

/** Every IPv4 address of this machine, loopback last. */
export function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const ipv4 = all.filter((a) => a.family === 'IPv4');
  return [...ipv4.filter((a) => !a.internal), ...ipv4.filter((a) => a.internal)].map((a) => a.address);
}

/** The first address of a range such as `10.96.0.0/16`: that of the `kubernetes` Service. */
export function firstAddress(cidr: string): string {
  return addressAt(cidr, 1);
}

/** The tenth address: that of the cluster's DNS; '' if the range is too small to have one. */
export function dnsAddress(cidr: string): string {
  return Number(cidr.split('/')[1]) > 28 ? '' : addressAt(cidr, 10);
}

function addressAt(cidr: string, offset: number): string {
  const bytes = cidr.split('/')[0]!.split('.').map(Number);
  bytes[3]! += offset;
  return bytes.join('.');
}
