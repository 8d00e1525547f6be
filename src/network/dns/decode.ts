/** Reads DNS messages from the wire (RFC 1035 section 4): strict about bounds, since anybody may send anything. */
import { TYPE } from './constants.js';
import type { Edns, Message, Question, ResourceRecord } from './message.js';

/** The bytes are no DNS message. */
export class FormatError extends Error {}

/** Bytes before the names, and how many names there are, in the data of the types that hold names. */
const LAYOUT: Record<number, [prefix: number, names: number]> = {
  [TYPE.NS]: [0, 1],
  [TYPE.CNAME]: [0, 1],
  [TYPE.PTR]: [0, 1],
  [TYPE.DNAME]: [0, 1],
  [TYPE.SOA]: [0, 2],
  [TYPE.MX]: [2, 1],
  [TYPE.SRV]: [6, 1],
};

const MAX_NAME = 255;

/** @throws FormatError. Buffers in the result are copies. */
export function decodeMessage(bytes: Buffer): Message {
  const reader = new Reader(bytes);
  const [id, flags, questions, ...counts] = Array.from({ length: 6 }, () => reader.u16());
  if (questions! > 1) throw new FormatError('more than one question');
  const question = questions === 1 ? reader.question() : undefined;
  const [answers, authority, all] = counts.map((count) => reader.records(count)) as [
    ResourceRecord[],
    ResourceRecord[],
    ResourceRecord[],
  ];
  const options = all.filter((record) => record.type === TYPE.OPT);
  if (options.length > 1) throw new FormatError('more than one OPT record');
  return {
    id: id!,
    flags: flags!,
    ...(question ? { question } : {}),
    answers,
    authority,
    additional: options.length > 0 ? all.filter((record) => record.type !== TYPE.OPT) : all,
    ...(options[0] ? { edns: readEdns(options[0]) } : {}),
  };
}

/** RFC 6891 section 6.1.3: the class is the size, and the TTL holds version and flags. */
function readEdns({ class: size, ttl }: ResourceRecord): Edns {
  return { size, version: (ttl >>> 16) & 255, dnssec: (ttl & 0x8000) !== 0 };
}

class Reader {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  u16(): number {
    this.require(2);
    this.at += 2;
    return this.bytes.readUInt16BE(this.at - 2);
  }

  u32(): number {
    this.require(4);
    this.at += 4;
    return this.bytes.readUInt32BE(this.at - 4);
  }

  question(): Question {
    return { name: this.name(), type: this.u16(), class: this.u16() };
  }

  records(count: number): ResourceRecord[] {
    const records: ResourceRecord[] = [];
    for (let i = 0; i < count; i++) records.push(this.record());
    return records;
  }

  private record(): ResourceRecord {
    const name = this.name();
    const [type, class_, ttl, length] = [this.u16(), this.u16(), this.u32(), this.u16()];
    this.require(length);
    const end = this.at + length;
    const [prefix, names] = LAYOUT[type] ?? [length, 0];
    const data: (Buffer | string)[] = [];
    if (prefix > 0) data.push(this.take(prefix, end));
    for (let i = 0; i < names; i++) data.push(this.name());
    if (this.at < end) data.push(this.take(end - this.at, end));
    if (this.at !== end) throw new FormatError('the data of a record is longer than it says');
    return { name, type, class: class_, ttl, data };
  }

  private take(length: number, end: number): Buffer {
    if (this.at + length > end) throw new FormatError('the data of a record is too short');
    this.at += length;
    return Buffer.from(this.bytes.subarray(this.at - length, this.at));
  }

  /** Each pointer has to lead further back than the one before, so that there are no loops. */
  private name(): string {
    const labels: string[] = [];
    let position = this.at;
    let earliest = position;
    let end: number | undefined;
    let length = 1;
    for (;;) {
      const size = this.byte(position);
      if (size >= 0xc0) {
        const target = ((size & 0x3f) << 8) | this.byte(position + 1);
        end ??= position + 2;
        if (target >= earliest) throw new FormatError('a name points forward');
        earliest = target;
        position = target;
        continue;
      }
      if (size > 63) throw new FormatError('a label of an unknown kind');
      if (size === 0) break;
      length += size + 1;
      if (length > MAX_NAME) throw new FormatError('a name is too long');
      if (position + 1 + size > this.bytes.length) throw new FormatError('a name ends early');
      labels.push(labelText(this.bytes, position + 1, size));
      position += size + 1;
    }
    this.at = end ?? position + 1;
    return labels.join('.');
  }

  private byte(position: number): number {
    const value = this.bytes[position];
    if (value === undefined) throw new FormatError('the message ends early');
    return value;
  }

  private require(length: number): void {
    if (this.at + length > this.bytes.length) throw new FormatError('the message ends early');
  }
}

function labelText(bytes: Buffer, start: number, length: number): string {
  const text = bytes.toString('latin1', start, start + length);
  return text.replace(/[^!-~]|[.\\]/g, (char) => `\\${String(char.charCodeAt(0)).padStart(3, '0')}`);
}
