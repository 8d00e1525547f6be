/** Writes DNS messages (RFC 1035 section 4), with compressed names and within a limit. */
import { FLAG, TYPE } from './constants.js';
import type { Message, ResourceRecord } from './message.js';

/** Types whose data may hold compressed names (RFC 3597 section 4): every reader knows them. */
const COMPRESSIBLE = new Set<number>([TYPE.NS, TYPE.CNAME, TYPE.PTR, TYPE.SOA, TYPE.MX]);

const HEADER = 12;
const OPT_SIZE = 11;
/** What a pointer can reach. */
const MAX_POINTER = 0x3fff;
/** Room for a message of the largest size and one record that turns out to be too much. */
const scratch = Buffer.allocUnsafeSlow(2 * 65536 + 1024);

/**
 * At most `limit` bytes: answers and authority that do not fit are left out and the message is marked as truncated;
 * additional records are left out silently (RFC 2181 section 9). `rcode` above 15 needs EDNS.
 */
export function encodeMessage(message: Message, limit: number, rcode = message.flags & 15): Buffer {
  const writer = new Writer();
  let { flags } = message;
  if (message.question) {
    writer.name(message.question.name, true);
    writer.u16(message.question.type);
    writer.u16(message.question.class);
  }
  const room = limit - (message.edns ? OPT_SIZE : 0);
  const counts = [0, 0, 0];
  const sections = [message.answers, message.authority, message.additional];
  for (const [i, records] of sections.entries()) {
    const written = writer.records(records, room);
    counts[i] = written;
    if (written === records.length) continue;
    if (i < 2) flags |= FLAG.TC;
    break;
  }
  if (message.edns) {
    const { size, dnssec } = message.edns;
    writer.option(size, ((rcode >> 4) << 24) | (dnssec ? 0x8000 : 0));
    counts[2]!++;
  }
  return writer.finish([message.id, (flags & ~15) | (rcode & 15), message.question ? 1 : 0, ...counts]);
}

class Writer {
  private at = HEADER;
  /** Names, and ends of names, that are written already. */
  private readonly offsets = new Map<string, number>();

  u16(value: number): void {
    this.at = scratch.writeUInt16BE(value, this.at);
  }

  /** How many of them fit. */
  records(records: ResourceRecord[], limit: number): number {
    for (const [i, record] of records.entries()) {
      const start = this.at;
      this.record(record);
      if (this.at <= limit) continue;
      this.at = start;
      return i;
    }
    return records.length;
  }

  option(size: number, ttl: number): void {
    this.at = scratch.writeUInt8(0, this.at);
    this.u16(TYPE.OPT);
    this.u16(size);
    this.at = scratch.writeInt32BE(ttl | 0, this.at);
    this.u16(0);
  }

  finish(header: number[]): Buffer {
    for (const [i, value] of header.entries()) scratch.writeUInt16BE(value, i * 2);
    return Buffer.from(scratch.subarray(0, this.at));
  }

  name(name: string, compress: boolean): void {
    let rest = name;
    while (rest !== '') {
      const known = this.offsets.get(rest);
      if (known !== undefined && compress) {
        this.u16(0xc000 | known);
        return;
      }
      if (known === undefined && this.at <= MAX_POINTER) this.offsets.set(rest, this.at);
      const dot = rest.indexOf('.');
      this.label(dot < 0 ? rest : rest.slice(0, dot));
      rest = dot < 0 ? '' : rest.slice(dot + 1);
    }
    this.at = scratch.writeUInt8(0, this.at);
  }

  private label(text: string): void {
    const plain = text.includes('\\')
      ? text.replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(Number(code)))
      : text;
    if (plain.length === 0 || plain.length > 63)
      throw new RangeError(`no DNS label: ${JSON.stringify(text)}`);
    this.at = scratch.writeUInt8(plain.length, this.at);
    this.at += scratch.write(plain, this.at, 'latin1');
  }

  private record({ name, type, class: class_, ttl, data }: ResourceRecord): void {
    this.name(name, true);
    this.u16(type);
    this.u16(class_);
    this.at = scratch.writeUInt32BE(ttl, this.at);
    const length = this.at;
    this.u16(0);
    for (const part of data) {
      if (typeof part === 'string') this.name(part, COMPRESSIBLE.has(type));
      else this.at += part.copy(scratch, this.at);
    }
    scratch.writeUInt16BE(this.at - length - 2, length);
  }
}
