/** From the bytes of a question to the bytes of its answer, whatever those bytes are. */
import { FLAG, opcodeOf, RCODE } from './constants.js';
import { decodeMessage } from './decode.js';
import { encodeMessage } from './encode.js';
import { emptyReply, type Message, type Reply } from './message.js';
import type { Resolve } from './resolver.js';

/** What a client without EDNS takes by UDP. */
const PLAIN_SIZE = 512;
/** The most that is sent by UDP, and what is asked of others (DNS flag day 2020 for what is asked). */
const MAX_UDP = 4096;
const OWN_SIZE = 1232;
const MAX_TCP = 65535;

/** Undefined: what came is no question and deserves no answer. Never throws or rejects. */
export function respond(
  bytes: Buffer,
  tcp: boolean,
  resolve: Resolve,
): Buffer | undefined | Promise<Buffer | undefined> {
  if (bytes.length < 12) return undefined;
  const [id, flags] = [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
  if ((flags & FLAG.QR) !== 0) return undefined;
  let query: Message;
  try {
    query = decodeMessage(bytes);
  } catch {
    return finish({ id, flags, answers: [], authority: [], additional: [] }, emptyReply(RCODE.FORMERR), tcp);
  }
  if (opcodeOf(flags) !== 0) return finish(query, emptyReply(RCODE.NOTIMP), tcp);
  if (!query.question) return finish(query, emptyReply(RCODE.FORMERR), tcp);
  if (query.edns && query.edns.version !== 0) return finish(query, emptyReply(RCODE.BADVERS), tcp);
  try {
    const reply = resolve(query.question, {
      tcp,
      dnssec: query.edns?.dnssec ?? false,
      checkingDisabled: (flags & FLAG.CD) !== 0,
    });
    if (!(reply instanceof Promise)) return finish(query, reply, tcp);
    return reply.then(
      (found) => finish(query, found, tcp),
      () => finish(query, emptyReply(RCODE.SERVFAIL), tcp),
    );
  } catch {
    return finish(query, emptyReply(RCODE.SERVFAIL), tcp);
  }
}

/** The question is repeated as it was asked, letter by letter: some clients check its case. */
function finish({ id, flags, question, edns }: Message, reply: Reply, tcp: boolean): Buffer {
  const limit = tcp ? MAX_TCP : Math.min(Math.max(edns?.size ?? PLAIN_SIZE, PLAIN_SIZE), MAX_UDP);
  const opcode = flags & 0x7800;
  const kept = flags & (FLAG.RD | FLAG.CD);
  const { answers, authority, additional } = reply;
  const said = (reply.authoritative ? FLAG.AA : 0) | (reply.truncated ? FLAG.TC : 0);
  const message: Message = {
    id,
    flags: FLAG.QR | FLAG.RA | opcode | kept | said,
    ...(question ? { question } : {}),
    ...{ answers, authority, additional },
    ...(edns ? { edns: { size: OWN_SIZE, version: 0, dnssec: edns.dnssec } } : {}),
  };
  return encodeMessage(message, limit, reply.rcode);
}
