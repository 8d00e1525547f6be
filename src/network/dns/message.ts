/**
 * What a DNS message says. Names are text without the last dot and in the sender's case; bytes of a label that are a
 * dot, a backslash or no printable ASCII are written `\DDD`, so that splitting at dots gives the labels.
 */

export interface Question {
  name: string;
  type: number;
  class: number;
}

export interface ResourceRecord {
  name: string;
  type: number;
  class: number;
  /** Seconds. */
  ttl: number;
  /** The parts of its data in order: names as text, the rest as bytes. */
  data: (Buffer | string)[];
}

/** The OPT record (RFC 6891). */
export interface Edns {
  /** The largest UDP message that the sender takes. */
  size: number;
  version: number;
  /** Whether the sender wants DNSSEC's records. */
  dnssec: boolean;
}

export interface Message {
  id: number;
  /** As in the header: see `FLAG`. */
  flags: number;
  question?: Question;
  answers: ResourceRecord[];
  authority: ResourceRecord[];
  /** Without the OPT record. */
  additional: ResourceRecord[];
  edns?: Edns;
}

/** What answers a question, not yet a message. */
export interface Reply {
  rcode: number;
  authoritative: boolean;
  answers: ResourceRecord[];
  authority: ResourceRecord[];
  additional: ResourceRecord[];
  /** The answers are not all: the asker should try again by TCP. */
  truncated?: boolean;
}

/** How a question is asked. */
export interface Asked {
  tcp: boolean;
  dnssec: boolean;
  /** Whether the asker checks signatures itself. */
  checkingDisabled: boolean;
}

export function emptyReply(rcode: number): Reply {
  return { rcode, authoritative: false, answers: [], authority: [], additional: [] };
}
