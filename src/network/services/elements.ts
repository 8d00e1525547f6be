/** Elements of all Services together: what has to change in the kernel when one Service changes. */

import { addressBytes } from '../../api/machinery/prefix.js';
import type { Family } from '../family.js';
import { type ElementBytes, type Verdict, valueData, verdictData } from '../nf-messages.js';
import type { Elements } from './compile.js';
import { type Field, MAPS } from './layout.js';

export interface Changes {
  deleted: Elements;
  added: Elements;
}

/**
 * Several owners may claim one element: two Services the same external address, say, or both the same pod as
 * one that may reach itself. The first claim counts, and the next one when it is gone.
 */
export class Claims {
  readonly #owners = new Map<string, Map<string, string>>();
  readonly #byOwner = new Map<string, Elements>();

  /** Replaces what `owner` claims; gives what changes thereby. */
  set(owner: string, elements: Elements, changes: Changes): void {
    const before = this.#byOwner.get(owner) ?? new Map<string, string>();
    if (elements.size > 0) this.#byOwner.set(owner, elements);
    else this.#byOwner.delete(owner);
    for (const name of before.keys()) if (!elements.has(name)) this.#claim(name, owner, undefined, changes);
    for (const [name, data] of elements)
      if (before.get(name) !== data) this.#claim(name, owner, data, changes);
  }

  #claim(name: string, owner: string, data: string | undefined, changes: Changes): void {
    const claims = this.#owners.get(name) ?? new Map<string, string>();
    const [old] = claims.values();
    if (data === undefined) claims.delete(owner);
    else claims.set(owner, data);
    const [now] = claims.values();
    if (claims.size > 0) this.#owners.set(name, claims);
    else this.#owners.delete(name);
    if (old === now) return;
    // What was added a moment ago, in the same transaction, is not in the kernel yet.
    const isNew = changes.added.delete(name);
    if (old !== undefined && (!isNew || changes.deleted.has(name))) changes.deleted.set(name, old);
    if (now !== undefined) changes.added.set(name, now);
  }

  /** Everything that there is. */
  all(): Elements {
    const all: Elements = new Map();
    for (const [name, claims] of this.#owners)
      for (const data of claims.values()) {
        all.set(name, data);
        break;
      }
    return all;
  }
}

const PROTOCOLS: Record<string, number> = { tcp: 6, udp: 17, sctp: 132 };

function writeField(field: Field, value: string, to: Buffer, at: number): void {
  if (field === 'address') addressBytes(value).copy(to, at);
  else if (field === 'protocol') to.writeUInt8(PROTOCOLS[value]!, at);
  else if (field === 'port') to.writeUInt16BE(Number(value), at);
  else to.writeUInt32LE(Number(value), at);
}

export function bytesOf(fields: readonly Field[], text: string, { words }: Family): Buffer {
  const sizeOf = (field: Field) => (field === 'address' ? words : 1) * 4;
  const bytes = Buffer.alloc(fields.reduce((sum, field) => sum + sizeOf(field), 0));
  const values = text.split(' . ');
  let at = 0;
  fields.forEach((field, i) => {
    writeField(field, values[i]!, bytes, at);
    at += sizeOf(field);
  });
  return bytes;
}

/** `drop`, `goto <chain>` or `jump <chain>`. */
function verdictOf(text: string): Verdict {
  const [kind, chain = ''] = text.split(' ');
  return kind === 'goto' ? { goto: chain } : kind === 'jump' ? { jump: chain } : 'drop';
}

/** The elements by map, as the kernel takes them. */
export function encodeElements(
  elements: Elements,
  withData: boolean,
  family: Family,
): Map<string, ElementBytes[]> {
  const byMap = new Map<string, ElementBytes[]>();
  for (const [name, text] of elements) {
    const space = name.indexOf(' ');
    const map = name.slice(0, space);
    const { key, data } = MAPS[map]!;
    const element: ElementBytes = { key: bytesOf(key, name.slice(space + 1), family) };
    if (withData && data !== undefined)
      element.data =
        data === 'verdict' ? verdictData(verdictOf(text)) : valueData(bytesOf(data, text, family));
    const list = byMap.get(map);
    if (list) list.push(element);
    else byMap.set(map, [element]);
  }
  return byMap;
}
