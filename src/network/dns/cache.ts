/** Answers of other servers, kept for as long as they allow, the least used dropped first. */
import { RCODE, TYPE } from './constants.js';
import type { Reply, ResourceRecord } from './message.js';

/** Seconds; answers may allow more. */
const MAX_POSITIVE = 3600;
const MAX_NEGATIVE = 300;
/** Larger answers are rare and would make the cache's size unpredictable. */
const MAX_RECORDS = 50;

interface Entry {
  reply: Reply;
  /** Milliseconds. */
  stored: number;
  expires: number;
}

export class ReplyCache {
  private readonly entries = new Map<string, Entry>();

  constructor(
    private readonly capacity: number,
    private readonly now: () => number,
  ) {}

  /** TTLs are what is left of them. */
  get(key: string): Reply | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key);
    const now = this.now();
    if (now >= entry.expires) return undefined;
    this.entries.set(key, entry);
    return aged(entry.reply, Math.floor((now - entry.stored) / 1000));
  }

  put(key: string, reply: Reply): void {
    const seconds = lifetime(reply);
    if (seconds <= 0) return;
    const stored = this.now();
    this.entries.delete(key);
    this.entries.set(key, { reply, stored, expires: stored + seconds * 1000 });
    if (this.entries.size <= this.capacity) return;
    for (const oldest of this.entries.keys()) {
      this.entries.delete(oldest);
      return;
    }
  }
}

/** How many seconds a reply may be kept; 0: not at all. */
export function lifetime(reply: Reply): number {
  const all = [...reply.answers, ...reply.authority, ...reply.additional];
  if (reply.truncated || all.length > MAX_RECORDS) return 0;
  if (reply.rcode === RCODE.NOERROR && reply.answers.length > 0)
    return Math.min(MAX_POSITIVE, ...all.map((record) => record.ttl));
  if (reply.rcode !== RCODE.NOERROR && reply.rcode !== RCODE.NXDOMAIN) return 0;
  // RFC 2308 section 5: the SOA record tells how long what is not there may be remembered.
  const soa = reply.authority.find((record) => record.type === TYPE.SOA);
  const numbers = soa?.data[2];
  if (!soa || !Buffer.isBuffer(numbers) || numbers.length !== 20) return 0;
  return Math.min(MAX_NEGATIVE, numbers.readUInt32BE(16), ...all.map((record) => record.ttl));
}

function aged(reply: Reply, seconds: number): Reply {
  if (seconds === 0) return reply;
  const age = (records: ResourceRecord[]) =>
    records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - seconds) }));
  return {
    ...reply,
    answers: age(reply.answers),
    authority: age(reply.authority),
    additional: age(reply.additional),
  };
}
