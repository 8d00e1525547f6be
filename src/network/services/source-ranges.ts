/** `loadBalancerSourceRanges`: who may use a load balancer's address, as a chain that returns for them and drops others. */
import { createHash } from 'node:crypto';
import { familyOf, type IpFamily, parsePrefix } from '../../api/machinery/prefix.js';
import type { Family } from '../family.js';
import { rule, sourceAddress, verdict, within } from '../nf-expressions.js';

/** The same for the same ranges: Services share it. */
export function guardChain(ranges: string[]): string {
  return `sources-${createHash('sha256').update(ranges.join()).digest('hex').slice(0, 16)}`;
}

/** Those of a family, in order, each once, without blanks. */
export const rangesOf = (ranges: string[], family: IpFamily): string[] =>
  [...new Set(ranges.map((range) => range.trim()).filter((range) => familyOf(range) === family))].sort();

export function guardRules(ranges: string[], family: Family): Buffer[] {
  const allow = ranges.map((range) =>
    rule(...within(sourceAddress, family, parsePrefix(range)), verdict('return')),
  );
  return [...allow, rule(verdict('drop'))];
}
