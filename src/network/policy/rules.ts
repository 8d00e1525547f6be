/** What a policy allows, as rules of its chain. */
import type { IPBlock } from '#types';
import type { PolicyClause, PolicyPort } from '../../api/resources/networking/policy-peers.js';
import { parseCidr } from '../cidr.js';
import {
  compare,
  destinationAddress,
  destinationPort,
  lookup,
  mask,
  meta,
  REGISTER,
  rule,
  sourceAddress,
  verdict,
} from '../nf-expressions.js';
import { type Direction, namedSet, peersSet } from './layout.js';

const PROTOCOLS: Record<string, number> = { TCP: 6, UDP: 17, SCTP: 132 };

export interface ChainRules {
  rules: Buffer[];
  /** Names of the sets that they look in. */
  sets: string[];
}

/** Clauses that no IPv4 packet can meet have no rule. */
export function chainRules(clauses: PolicyClause[], direction: Direction): ChainRules {
  const sets = new Set<string>();
  const rules = clauses.flatMap((clause) => {
    const peer = peerMatch(clause, direction, sets);
    return peer ? [rule(...peer, ...portMatch(clause, sets), verdict('accept'))] : [];
  });
  return { rules, sets: [...sets] };
}

function peerMatch({ peer }: PolicyClause, direction: Direction, sets: Set<string>): Buffer[] | undefined {
  if (peer === 'any') return [];
  const address = direction === 'ingress' ? sourceAddress : destinationAddress;
  if ('block' in peer) return blockMatch(peer.block, address);
  const set = peersSet(peer.group);
  sets.add(set);
  return [address(REGISTER), lookup(set, REGISTER)];
}

function blockMatch({ cidr, except }: IPBlock, address: (register: number) => Buffer): Buffer[] | undefined {
  if (cidr.includes(':')) return undefined;
  const within = (block: string, how: 'equal' | 'notEqual') => {
    const { base, size } = parseCidr(block);
    return [address(REGISTER), mask(REGISTER, word(2 ** 32 - size)), compare(REGISTER, how, word(base))];
  };
  return [...within(cidr, 'equal'), ...(except ?? []).flatMap((inner) => within(inner, 'notEqual'))];
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function portMatch({ port, destinations }: PolicyClause, sets: Set<string>): Buffer[] {
  if (port === 'any') return [];
  const protocol = 'named' in port ? port.named.protocol : port.protocol;
  const matches = [
    meta('l4proto', REGISTER),
    compare(REGISTER, 'equal', Buffer.from([PROTOCOLS[protocol]!])),
  ];
  if (!('named' in port)) return [...matches, ...rangeMatch(port)];
  const set = destinations ? peersSet(destinations) : namedSet(port.named);
  sets.add(set);
  return [...matches, destinationAddress(REGISTER), destinationPort(REGISTER + 1), lookup(set, REGISTER)];
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
