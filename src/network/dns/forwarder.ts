/** Asks the node's own DNS servers for names outside of the cluster. */
import { randomInt } from 'node:crypto';
import type { Logger } from 'pino';
import { ReplyCache } from './cache.js';
import { FLAG, RCODE, rcodeOf } from './constants.js';
import { encodeMessage } from './encode.js';
import { type Exchange, exchangeTcp, exchangeUdp, type Upstream } from './exchange.js';
import { type Asked, emptyReply, type Message, type Question, type Reply } from './message.js';
import { inLowerCase } from './names.js';

export interface ForwarderOptions {
  /** Addresses, the first to be asked first. */
  servers(): Promise<string[]>;
  now(): number;
  logger?: Logger;
  /** 53 when absent. */
  port?: number;
  /** Of one attempt; 1500 when absent, so that three end before a resolver in a pod gives up. */
  timeoutMs?: number;
  /** Questions under way at once; more are refused. 1000 when absent. */
  maxPending?: number;
  udp?: Exchange;
  tcp?: Exchange;
}

const ATTEMPTS = 3;
/** A server that gave no answer is asked last for so long. */
const AVOID_MS = 10_000;
/** Answers that are kept. */
const CAPACITY = 2000;
/** Fits into every network's packets (DNS flag day 2020). */
const UDP_SIZE = 1232;
const MAX_MESSAGE = 65535;
/** What makes it worth to ask another server. */
const UNHELPFUL: number[] = [RCODE.SERVFAIL, RCODE.NOTIMP, RCODE.REFUSED];

export class Forwarder {
  private readonly cache: ReplyCache;
  /** Also keeps a loop of servers from growing: the question that comes back waits for itself, and times out. */
  private readonly pending = new Map<string, Promise<Reply>>();
  private readonly avoided = new Map<string, number>();

  constructor(private readonly options: ForwarderOptions) {
    this.cache = new ReplyCache(CAPACITY, options.now);
  }

  /** Never rejects: SERVFAIL when nobody answers, REFUSED when there is too much to do. */
  resolve(question: Question, asked: Asked): Reply | Promise<Reply> {
    const key = `${inLowerCase(question.name)} ${question.type} ${question.class} ${asked.dnssec} ${asked.checkingDisabled}`;
    const known = this.cache.get(key);
    if (known) return renamed(known, question);
    const exchange = `${asked.tcp} ${key}`;
    let pending = this.pending.get(exchange);
    if (!pending) {
      if (this.pending.size >= (this.options.maxPending ?? 1000)) return emptyReply(RCODE.REFUSED);
      pending = this.ask(question, asked)
        .then((reply) => {
          this.cache.put(key, reply);
          return reply;
        })
        .catch((error) => {
          this.options.logger?.debug(
            { name: question.name, why: error.message },
            'no answer to a DNS question',
          );
          return emptyReply(RCODE.SERVFAIL);
        })
        .finally(() => this.pending.delete(exchange));
      this.pending.set(exchange, pending);
    }
    return pending.then((reply) => renamed(reply, question));
  }

  private async ask(question: Question, asked: Asked): Promise<Reply> {
    const servers = this.ordered(await this.options.servers());
    if (servers.length === 0) throw new Error('this node has no DNS servers');
    const { port = 53, timeoutMs = 1500, udp = exchangeUdp, tcp = exchangeTcp } = this.options;
    let unhelpful: Reply | undefined;
    let failure: unknown;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (unhelpful && attempt >= servers.length) break;
      const address = servers[attempt % servers.length]!;
      try {
        const upstream: Upstream = { address, port };
        const query = queryFor(question, asked);
        const bytes = encodeMessage(query, MAX_MESSAGE);
        const reply = asReply(await (asked.tcp ? tcp : udp)(upstream, query, bytes, timeoutMs));
        this.avoided.delete(address);
        if (!UNHELPFUL.includes(reply.rcode)) return reply;
        unhelpful = reply;
      } catch (error) {
        failure = error;
        this.avoided.set(address, this.options.now() + AVOID_MS);
      }
    }
    if (unhelpful) return unhelpful;
    throw failure;
  }

  private ordered(servers: string[]): string[] {
    const now = this.options.now();
    for (const [server, until] of this.avoided) if (until <= now) this.avoided.delete(server);
    return servers.slice().sort((a, b) => Number(this.avoided.has(a)) - Number(this.avoided.has(b)));
  }
}

function queryFor(question: Question, { dnssec, checkingDisabled }: Asked): Message {
  return {
    id: randomInt(65536),
    flags: FLAG.RD | (checkingDisabled ? FLAG.CD : 0),
    question,
    ...{ answers: [], authority: [], additional: [] },
    edns: { size: UDP_SIZE, version: 0, dnssec },
  };
}

function asReply({ flags, answers, authority, additional }: Message): Reply {
  const truncated = (flags & FLAG.TC) !== 0;
  return { rcode: rcodeOf(flags), authoritative: false, answers, authority, additional, truncated };
}

/** In the case in which this asker wrote the name. */
function renamed(reply: Reply, { name }: Question): Reply {
  const lower = inLowerCase(name);
  if (reply.answers.every((record) => record.name === name || inLowerCase(record.name) !== lower))
    return reply;
  const answers = reply.answers.map((record) =>
    inLowerCase(record.name) === lower ? { ...record, name } : record,
  );
  return { ...reply, answers };
}
