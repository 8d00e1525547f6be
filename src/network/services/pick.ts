/** The chains that pick one of a number of endpoints, and the one that hides clients, as rules in the kernel's own form. */

import type { Family } from '../family.js';
import {
  destinationAddress,
  destinationPort,
  expression,
  lookup,
  meta,
  REGISTER as R,
  rule,
  setMark,
  sourceAddress,
} from '../nf-expressions.js';
import { text, u8, u32, u64 } from '../nf-messages.js';
import { AFFINITY, DISPATCH, type Dispatch, idsOf, MASQUERADE } from './layout.js';

/** Where the packet's mark is kept meanwhile. */
const SAVED = R + 15;
const CT_DESTINATION = { IPv4: 20, IPv6: 22 } as const;
const CT_DESTINATION_PORT = 12;
const DYNSET = { update: 1, delete: 2 } as const;

/** The name says all that its rules depend on: one chain serves every Service of the same kind. */
export function pickChain(dispatch: Dispatch, count: number, affinitySeconds: number | undefined): string {
  return `${dispatch}-${count}${affinitySeconds === undefined ? '' : `-sticky-${affinitySeconds}`}`;
}

/** The rules of a chain by its name. */
export function pickRules(name: string, family: Family): Buffer[] {
  const [, dispatch, count, seconds] = /^(.+?)-(\d+)(?:-sticky-(\d+))?$/.exec(name)!;
  const target = targetId(dispatch as Dispatch, family, R);
  const drawn = (members: string) => [draw(Number(count), R + 1), lookup(members, R, R)];
  const plain = rule(...target, ...drawn('endpoints'), translate(family, R));
  if (seconds === undefined) return [plain];
  const timeout = Number(seconds) * 1000;
  // After the endpoint's number, address and port.
  const key = R + family.words + 3;
  const client = [...targetId(dispatch as Dispatch, family, key), sourceAddress(family, key + 1)];
  const lead = [
    lookup('sticky-endpoints', R, R + 1),
    remember('update', key, R, timeout),
    translate(family, R + 1),
  ];
  const again = rule(...client, lookup(AFFINITY, key, R), ...settle(R), ...lead);
  // What is remembered but no endpoint any more has to go first: an update leaves an element's data.
  const anew = rule(
    ...[...client, remember('delete', key, key)],
    ...[...target, ...drawn('sticky-members'), ...settle(R), ...lead],
  );
  // The last for when the memory is full.
  return [again, anew, plain];
}

/** Hides the client if the connection's original destination asks for it. */
export function masqueradeRules({ name, words }: Family): Buffer[] {
  const original = (key: number, to: number) => expression('ct', u32(1, to), u32(2, key), u8(3, 0));
  const masquerade = expression('masq');
  return [
    rule(
      ...[original(CT_DESTINATION[name], R), meta('l4proto', R + words)],
      original(CT_DESTINATION_PORT, R + words + 1),
      ...[lookup(MASQUERADE.addresses, R), masquerade],
    ),
    rule(
      ...[meta('l4proto', R), original(CT_DESTINATION_PORT, R + 1)],
      ...[lookup(MASQUERADE.ports, R), masquerade],
    ),
  ];
}

/** The number of the target that the packet is for; uses registers from `to` on: two, and those of an address. */
function targetId(dispatch: Dispatch, family: Family, to: number): Buffer[] {
  const load = {
    address: (at: number) => destinationAddress(family, at),
    protocol: (at: number) => meta('l4proto', at),
    port: destinationPort,
  };
  let at = to;
  const key = DISPATCH[dispatch].map((field) => {
    const loaded = load[field as keyof typeof load](at);
    at += field === 'address' ? family.words : 1;
    return loaded;
  });
  return [...key, lookup(idsOf(dispatch), to, to), ...settle(to)];
}

/**
 * Takes a number that was looked up through the packet's mark, which is put back at once. To the packet that is
 * nothing; but `nft list` of 2022 can't show, and dies of, a key that is made of what another map gave.
 */
const settle = (register: number): Buffer[] => [
  meta('mark', SAVED),
  setMark(register),
  meta('mark', register),
  setMark(SAVED),
];

/** A random number below `count`. */
const draw = (count: number, to: number): Buffer =>
  expression('numgen', u32(1, to), u32(2, count), u32(3, 1));

/** To the address in the registers from `address` on, and the port after it. */
const translate = ({ number, words }: Family, address: number): Buffer =>
  expression('nat', u32(1, 1), u32(2, number), u32(3, address), u32(5, address + words));

function remember(op: keyof typeof DYNSET, key: number, data: number, timeout?: number): Buffer {
  return expression(
    'dynset',
    ...[text(1, AFFINITY), u32(3, DYNSET[op]), u32(4, key), u32(5, data)],
    ...(timeout === undefined ? [] : [u64(6, timeout)]),
  );
}
