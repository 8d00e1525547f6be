/** Finds the answer to a question: from the cluster's zone, from other servers, or first one and then the other. */
import { CLASS_IN, RCODE, TYPE } from './constants.js';
import { type Asked, emptyReply, type Question, type Reply, type ResourceRecord } from './message.js';
import type { ServiceView } from './view.js';
import { answerFromZone, type Zone, type ZoneReply } from './zone.js';

export interface ResolverOptions {
  zone: Zone;
  view: ServiceView;
  forward(question: Question, asked: Asked): Reply | Promise<Reply>;
  /** From 0 to 1: spreads clients over addresses. */
  random?: () => number;
}

export type Resolve = (question: Question, asked: Asked) => Reply | Promise<Reply>;

/** How many ExternalName Services may lead to each other. */
const MAX_ALIASES = 8;

/** Answers of the cluster's own come at once, others as a promise; neither throws. */
export function createResolver({ zone, view, forward, random = Math.random }: ResolverOptions): Resolve {
  const step = (question: Question, asked: Asked): ZoneReply | Promise<Reply> | Reply =>
    answerFromZone(question, zone, view) ?? forward(question, asked);

  const follow = async (first: ZoneReply, question: Question, asked: Asked): Promise<Reply> => {
    const answers = [...first.answers];
    let last: ZoneReply = first;
    for (let i = 0; last.alias !== undefined; i++) {
      if (i === MAX_ALIASES) return { ...first, rcode: RCODE.SERVFAIL, answers };
      last = await step({ ...question, name: last.alias }, asked);
      answers.push(...last.answers);
    }
    const { rcode, authority, additional, truncated } = last;
    return { rcode, authoritative: true, answers, authority, additional, truncated };
  };

  return (question, asked) => {
    if (question.class !== CLASS_IN) return emptyReply(RCODE.REFUSED);
    const found = step(question, asked);
    if (found instanceof Promise) return found;
    if ('alias' in found && found.alias !== undefined) return follow(found, question, asked);
    return found.answers.length > 1 ? { ...found, answers: shuffled(found.answers, random) } : found;
  };
}

/** Addresses in any order; what leads to them stays before them. */
function shuffled(records: ResourceRecord[], random: () => number): ResourceRecord[] {
  const isAddress = ({ type }: ResourceRecord) => type === TYPE.A || type === TYPE.AAAA;
  const addresses = records.filter(isAddress);
  for (let i = addresses.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [addresses[i], addresses[j]] = [addresses[j]!, addresses[i]!];
  }
  return [...records.filter((record) => !isAddress(record)), ...addresses];
}
