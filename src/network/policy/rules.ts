/** What a policy allows, as rules of its chain. */
import type { IPBlock } from '#types';
import { familyOf, parsePrefix } from '../../api/machinery/prefix.js';
import type { PolicyClause, PolicyPort } from '../../api/resources/networking/policy-peers.js';
import type { Family } from '../family.js';
import {
  compare,
  destinationAddress,
  destinationPort,
  type LoadAddress,
  lookup,
  meta,
  REGISTER,
  rule,
  sourceAddress,
  verdict,
  within,
} from '../nf-expressions.js';
import { type Direction, namedSet, peersSet } from './layout.js';

const PROTOCOLS: Record<string, number> = { TCP: 6, UDP: 17, SCTP: 132 };

export interface ChainRules {
  rules: Buffer[];
  /** Names of the sets that they look in. */
  sets: string[];
}

/** Clauses that no packet of the family can meet have no rule. */
export function chainRules(clauses: PolicyClause[], direction: Direction, family: Family): ChainRules {
  const sets = new Set<string>();
  const rules = clauses.flatMap((clause) => {
    const peer = peerMatch(clause, direction, family, sets);
    return peer ? [rule(...peer, ...portMatch(clause, family, sets), verdict('accept'))] : [];
  });
  return { rules, sets: [...sets] };
}

function peerMatch(
  { peer }: PolicyClause,
  direction: Direction,
  family: Family,
  sets: Set<string>,
): Buffer[] | undefined {
  if (peer === 'any') return [];
  const address = direction === 'ingress' ? sourceAddress : destinationAddress;
  if ('block' in peer) return blockMatch(peer.block, address, family);
  const set = peersSet(peer.group);
  sets.add(set);
  return [address(family, REGISTER), lookup(set, REGISTER)];
}

function blockMatch(
  { cidr, except = [] }: IPBlock,
  address: LoadAddress,
  family: Family,
): Buffer[] | undefined {
  if (familyOf(cidr) !== family.name) return undefined;
  return [
    ...within(address, family, parsePrefix(cidr)),
    ...except.flatMap((inner) => within(address, family, parsePrefix(inner), 'notEqual')),
  ];
}

function portMatch({ port, destinations }: PolicyClause, family: Family, sets: Set<string>): Buffer[] {
  if (port === 'any') return [];
  const protocol = 'named' in port ? port.named.protocol : port.protocol;
  const matches = [
    meta('l4proto', REGISTER),
    compare(REGISTER, 'equal', Buffer.from([PROTOCOLS[protocol]!])),
  ];
  if (!('named' in port)) return [...matches, ...rangeMatch(port)];
  const set = destinations ? peersSet(destinations) : namedSet(port.named);
  sets.add(set);
  const where = [destinationAddress(family, REGISTER), destinationPort(REGISTER + family.words)];
  return [...matches, ...where, lookup(set, REGISTER)];
}

function rangeMatch({ from, to }: Exclude<PolicyPort, 'any' | { named: unknown }>): Buffer[] {
  if (from === undefined || to === undefined) return [];
  const bytes = (number: number) => Buffer.from([number >> 8, number & 255]);
  if (from === to) return [destinationPort(REGISTER), compare(REGISTER, 'equal', bytes(from))];
  return [
    destinationPort(REGISTER),
    compare(REGISTER, 'atLeast', bytes(from)),
    compare(REGISTER, 'atMost', bytes(to)),
  ];
}
