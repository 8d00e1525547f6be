/** This machine's addresses. */
import { networkInterfaces } from 'node:os';
import { type IpFamily, parsePrefix } from '../api/machinery/prefix.js';

/** Every address of this machine, loopback last, within one link excepted. */
export function machineAddresses(family: IpFamily = 'IPv4'): string[] {
  const all = ofFamily(family);
  return [...all.filter((a) => !a.internal), ...all.filter((a) => a.internal)].map((a) => a.address);
}

/** The first by which others can reach this machine. */
export const outerAddress = (family: IpFamily): string | undefined =>
  ofFamily(family).find((a) => !a.internal)?.address;

const ofFamily = (family: IpFamily) =>
  Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((a) => a.family === family && !(a.family === 'IPv6' && a.scopeid !== 0));

/** The first address of ranges such as `10.96.0.0/16,fd00:10:96::/112`: that of the `kubernetes` Service. */
export function firstAddress(cidrs: string): string {
  return firstRange(cidrs).at(1);
}

/** The tenth address: that of the cluster's DNS; '' if the range is too small to have one. */
export function dnsAddress(cidrs: string): string {
  const { size, at } = firstRange(cidrs);
  return size < 16 ? '' : at(10);
}

const firstRange = (cidrs: string) => parsePrefix(cidrs.split(',')[0]!);
