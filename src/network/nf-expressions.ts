/** Expressions of nf_tables rules as bytes. Registers of 4 bytes are numbered from `REGISTER`. (linux/netfilter/nf_tables.h) */
import type { AddressRange } from '../api/machinery/prefix.js';
import type { Family } from './family.js';
import { nest, text, u32, type Verdict, valueData, verdictData } from './nf-messages.js';

export const REGISTER = 8;
const NETWORK = 1;
const TRANSPORT = 2;
const META = { mark: 3, nfproto: 15, l4proto: 16 } as const;
const COMPARISON = { equal: 0, notEqual: 1, atMost: 3, atLeast: 5 } as const;

export const expression = (name: string, ...data: Buffer[]): Buffer =>
  nest(1, text(1, name), nest(2, ...data));

export const rule = (...expressions: Buffer[]): Buffer => Buffer.concat(expressions);

export const payload = (base: number, offset: number, length: number, to: number): Buffer =>
  expression('payload', u32(1, to), u32(2, base), u32(3, offset), u32(4, length));

export type LoadAddress = (family: Family, to: number) => Buffer;

export const sourceAddress: LoadAddress = ({ source, words }, to) => payload(NETWORK, source, words * 4, to);

export const destinationAddress: LoadAddress = ({ destination, words }, to) =>
  payload(NETWORK, destination, words * 4, to);

export const destinationPort = (to: number): Buffer => payload(TRANSPORT, 2, 2, to);

export const meta = (key: keyof typeof META, to: number): Buffer =>
  expression('meta', u32(2, META[key]), u32(1, to));

export const setMark = (from: number): Buffer => expression('meta', u32(2, META.mark), u32(3, from));

/** Ends the rule unless it holds; more and less as bytes, which numbers in network order are. */
export const compare = (register: number, how: keyof typeof COMPARISON, value: Buffer): Buffer =>
  expression('cmp', u32(1, register), u32(2, COMPARISON[how]), nest(3, valueData(value)));

/** Keeps the bits of `mask`, in place. */
export const mask = (register: number, bits: Buffer): Buffer =>
  expression(
    'bitwise',
    ...[u32(1, register), u32(2, register), u32(3, bits.length)],
    ...[nest(4, valueData(bits)), nest(5, valueData(Buffer.alloc(bits.length)))],
  );

/** Ends the rule for the packets of other families. */
export const ofFamily = ({ number }: Family): Buffer[] => [
  meta('nfproto', REGISTER),
  compare(REGISTER, 'equal', Buffer.from([number])),
];

/** Ends the rule unless the address is (or is not) of the prefix. */
export function within(
  address: LoadAddress,
  family: Family,
  { base, mask: bits }: AddressRange,
  how: 'equal' | 'notEqual' = 'equal',
): Buffer[] {
  return [address(family, REGISTER), mask(REGISTER, bits), compare(REGISTER, how, base)];
}

/** Bits of the connection's state, in the machine's order. */
export const connectionState = (to: number): Buffer => expression('ct', u32(1, to), u32(2, 0));

/** Ends the rule when there is none. Without `to` it only asks; `to` 0: the verdict of a map. */
export const lookup = (map: string, key: number, to?: number): Buffer =>
  expression('lookup', text(1, map), u32(2, key), ...(to === undefined ? [] : [u32(3, to)]));

export const verdict = (given: Verdict): Buffer =>
  expression('immediate', u32(1, 0), nest(2, verdictData(given)));
