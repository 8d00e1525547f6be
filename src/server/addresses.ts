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
  const bytes = cidr.split('/')[0]!.split('.').map(Number);
  bytes[3]! += 1;
  return bytes.join('.');
}
