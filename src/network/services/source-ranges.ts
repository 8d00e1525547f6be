/** `loadBalancerSourceRanges`: who may use a load balancer's address, as a chain that returns for them and drops others. */
import { createHash } from 'node:crypto';
import { parseCidr } from '../cidr.js';
import { compare, mask, REGISTER, rule, sourceAddress, verdict } from '../nf-expressions.js';

/** The same for the same ranges: Services share it. */
export function guardChain(ranges: string[]): string {
  return `sources-${createHash('sha256').update(ranges.join()).digest('hex').slice(0, 16)}`;
}

/** The IPv4 ranges, in order, each once, without blanks. */
export const ipv4Ranges = (ranges: string[]): string[] =>
  [...new Set(ranges.map((range) => range.trim()).filter((range) => range.includes('.')))].sort();

export function guardRules(ranges: string[]): Buffer[] {
  const allow = ranges.map((range) => {
    const { base, size } = parseCidr(range);
    return rule(
      ...[sourceAddress(REGISTER), mask(REGISTER, word(2 ** 32 - size))],
      ...[compare(REGISTER, 'equal', word(base)), verdict('return')],
    );
  });
  return [...allow, rule(verdict('drop'))];
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
