/** Messages of nf_tables as bytes, for transactions by netlink. (linux/netfilter/nf_tables.h; little-endian machines.) */
import type { Family } from './family.js';

const SUBSYSTEM = 10;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const NLM_F_REQUEST = 1;
const NLM_F_CREATE = 0x400;
const NLM_F_APPEND = 0x800;
const NESTED = 0x8000;
/** An attribute's length has 16 bits: lists of elements are cut well below. */
const ELEMENTS_PER_MESSAGE = 500;

const MESSAGE = {
  ...{ newTable: 0, deleteTable: 2, newChain: 3, deleteChain: 5, newRule: 6, deleteRule: 8 },
  ...{ newSet: 9, deleteSet: 11, newElements: 12, deleteElements: 14 },
} as const;

const padding = (length: number) => (4 - (length % 4)) % 4;

export function attribute(type: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + payload.length + padding(payload.length));
  bytes.writeUInt16LE(4 + payload.length, 0);
  bytes.writeUInt16LE(type, 2);
  payload.copy(bytes, 4);
  return bytes;
}

export const nest = (type: number, ...children: Buffer[]): Buffer =>
  attribute(type | NESTED, Buffer.concat(children));

export const text = (type: number, value: string): Buffer => attribute(type, Buffer.from(`${value}\0`));

export const u8 = (type: number, value: number): Buffer => attribute(type, Buffer.from([value]));

/** Numbers of nf_tables travel in network order. */
export function u32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return attribute(type, bytes);
}

export function u64(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return attribute(type, bytes);
}

/** A message with its headers, for the tables of a family; the sequence number is put in by `Batch`. */
function message(type: number, flags: number, family: number, resource: number, body: Buffer[]): Buffer {
  const content = Buffer.concat(body);
  const bytes = Buffer.alloc(20 + content.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(NLM_F_REQUEST | flags, 6);
  bytes.writeUInt8(family, 16);
  bytes.writeUInt16BE(resource, 18);
  content.copy(bytes, 20);
  return bytes;
}

export interface ElementBytes {
  /** Fields padded to 4 bytes each. */
  key: Buffer;
  /** `NFTA_SET_ELEM_DATA`'s content; absent in sets, and in deletions. */
  data?: Buffer | undefined;
}

/** Data of an element: a value, or where to go. */
export const valueData = (value: Buffer): Buffer => attribute(1, value);

const VERDICT = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;

export type Verdict = 'drop' | 'accept' | 'return' | { goto: string } | { jump: string };

export function verdictData(verdict: Verdict): Buffer {
  if (typeof verdict === 'string') return nest(2, u32(1, VERDICT[verdict]));
  const [kind, chain] = Object.entries(verdict)[0] as ['goto' | 'jump', string];
  return nest(2, u32(1, VERDICT[kind]), text(2, chain));
}

/** Types as `nft list` knows them; a concatenation is of several. */
const TYPE = { port: 13 } as const;
const ADDRESS_TYPE = { 1: 7, 4: 8 } as const;
const TYPE_BITS = 6;
const VERDICT_TYPE = 0xffffff00;
const MAP_FLAG = 8;

export interface SetDefinition {
  key: ('address' | keyof typeof TYPE)[];
  verdicts?: boolean;
}

export interface Hook {
  /** Of `NF_INET_…`: 2 is forward. */
  number: number;
  priority: number;
}

/** `nest(1, nest(1, valueData(key)), nest(2, data))` in one piece: of these there are tens of thousands. */
function element(key: Buffer, data: Buffer | undefined): Buffer {
  const keyEnd = 12 + key.length;
  const bytes = Buffer.alloc(keyEnd + (data ? 4 + data.length : 0));
  const head = (at: number, length: number, type: number) => {
    bytes.writeUInt16LE(length, at);
    bytes.writeUInt16LE(type, at + 2);
  };
  head(0, bytes.length, 1 | NESTED);
  head(4, 8 + key.length, 1 | NESTED);
  head(8, 4 + key.length, 1);
  key.copy(bytes, 12);
  if (data) {
    head(keyEnd, 4 + data.length, 2 | NESTED);
    data.copy(bytes, keyEnd + 4);
  }
  return bytes;
}

/** A transaction on one table: all or nothing. */
export class Batch {
  readonly #messages: Buffer[] = [];
  #sets = 0;

  constructor(
    readonly table: string,
    readonly family: Family,
  ) {}

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** Takes the table away if it is there, with all that is in it. */
  deleteTable(): void {
    this.newTable();
    this.#add(MESSAGE.deleteTable, 0, [text(1, this.table)]);
  }

  newTable(): void {
    this.#add(MESSAGE.newTable, NLM_F_CREATE, [text(1, this.table)]);
  }

  newSet(name: string, { key, verdicts }: SetDefinition): void {
    const { words } = this.family;
    const types = key.map((field) => (field === 'address' ? ADDRESS_TYPE[words] : TYPE[field]));
    const type = types.reduce((all, one) => (all << TYPE_BITS) | one, 0);
    const length = key.reduce((sum, field) => sum + (field === 'address' ? words : 1) * 4, 0);
    const keys = [u32(4, type), u32(5, length)];
    const data = verdicts ? [u32(6, VERDICT_TYPE), u32(7, 0)] : [];
    const flags = u32(3, verdicts ? MAP_FLAG : 0);
    const id = u32(10, ++this.#sets);
    this.#add(MESSAGE.newSet, NLM_F_CREATE, [
      text(1, this.table),
      text(2, name),
      flags,
      ...keys,
      ...data,
      id,
    ]);
  }

  /** No rule may refer to it any more. */
  deleteSet(name: string): void {
    this.#add(MESSAGE.deleteSet, 0, [text(1, this.table), text(2, name)]);
  }

  /** Nothing may lead to it any more. */
  deleteChain(name: string): void {
    this.#add(MESSAGE.deleteRule, 0, [text(1, this.table), text(2, name)]);
    this.#add(MESSAGE.deleteChain, 0, [text(1, this.table), text(3, name)]);
  }

  /** Makes a chain, or takes the one of that name, with these rules and no others. */
  chain(name: string, rules: Buffer[], hook?: Hook): void {
    const named = [text(1, this.table), text(3, name)];
    const base = hook && [
      nest(4, u32(1, hook.number), u32(2, hook.priority)),
      ...[u32(5, VERDICT.accept), text(7, 'filter')],
    ];
    this.#add(MESSAGE.newChain, NLM_F_CREATE, [...named, ...(base ?? [])]);
    const within = [text(1, this.table), text(2, name)];
    this.#add(MESSAGE.deleteRule, 0, within);
    for (const rule of rules)
      this.#add(MESSAGE.newRule, NLM_F_CREATE | NLM_F_APPEND, [...within, attribute(4 | NESTED, rule)]);
  }

  flush(set: string): void {
    this.#add(MESSAGE.deleteElements, 0, [text(1, this.table), text(2, set)]);
  }

  addElements(set: string, elements: ElementBytes[]): void {
    this.#elements(MESSAGE.newElements, NLM_F_CREATE, set, elements);
  }

  deleteElements(set: string, elements: ElementBytes[]): void {
    this.#elements(MESSAGE.deleteElements, 0, set, elements);
  }

  #elements(type: number, flags: number, set: string, elements: ElementBytes[]): void {
    for (let at = 0; at < elements.length; at += ELEMENTS_PER_MESSAGE) {
      const list = elements.slice(at, at + ELEMENTS_PER_MESSAGE).map(({ key, data }) => element(key, data));
      this.#add(type, flags, [text(1, this.table), text(2, set), nest(3, ...list)]);
    }
  }

  #add(type: number, flags: number, body: Buffer[]): void {
    const { tableNumber } = this.family;
    this.#messages.push(message((SUBSYSTEM << 8) | type, flags, tableNumber, 0, body));
  }

  bytes(): Buffer {
    const all = [
      message(BATCH_BEGIN, 0, 0, SUBSYSTEM, []),
      ...this.#messages,
      message(BATCH_END, 0, 0, SUBSYSTEM, []),
    ];
    all.forEach((bytes, i) => {
      bytes.writeUInt32LE(i + 1, 8);
    });
    return Buffer.concat(all);
  }
}
