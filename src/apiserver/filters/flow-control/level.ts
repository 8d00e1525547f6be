/** One priority level: how many seats it has, who sits, and who waits in which queue (KEP-1040). */
import type { PriorityLevelConfiguration } from '#types';

/** A request that waits. */
export interface Waiting {
  seats: number;
  schema: string;
  /** Seats are taken: it may go on. */
  start(): void;
}

interface Queue {
  waiting: Waiting[];
  /** The virtual time at which its first one is due. */
  due: number;
}

export type Admission = 'run' | 'concurrency-limit' | 'queue-full' | Queue;

/** What a level may count on, and what it may use of others'. */
export interface Seats {
  nominal: number;
  /** Kept for the level even while it needs none. */
  lower: number;
  upper: number;
}

export class Level {
  readonly #queues: Queue[] = [];
  #virtualTime = 0;
  #waiting = 0;
  /** Seats taken. */
  used = 0;

  constructor(
    public config: PriorityLevelConfiguration,
    public seats: Seats,
  ) {}

  get name(): string {
    return this.config.metadata.name!;
  }

  get exempt(): boolean {
    return this.config.spec.type === 'Exempt';
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Lengths of the queues that are not empty. */
  get queueLengths(): number[] {
    return this.#queues.filter((q) => q.waiting.length > 0).map((q) => q.waiting.length);
  }

  /** What the level keeps from others: what it uses, and at least its part. */
  get reserved(): number {
    return Math.max(this.used, this.seats.lower);
  }

  /** The shortest queue of the flow's hand; or why there is none. */
  queueFor(hash: number): Queue | 'concurrency-limit' | 'queue-full' {
    const queuing = this.config.spec.limited?.limitResponse?.queuing;
    if (!queuing) return 'concurrency-limit';
    const { queues = 64, handSize = 8, queueLengthLimit = 50 } = queuing;
    let best: Queue | undefined;
    for (const i of deal(hash, queues, Math.min(handSize, queues))) {
      this.#queues[i] ??= { waiting: [], due: 0 };
      if (!best || this.#queues[i].waiting.length < best.waiting.length) best = this.#queues[i];
    }
    return best!.waiting.length >= queueLengthLimit ? 'queue-full' : best!;
  }

  wait(queue: Queue, waiting: Waiting): void {
    if (queue.waiting.length === 0) queue.due = Math.max(queue.due, this.#virtualTime);
    queue.waiting.push(waiting);
    this.#waiting++;
  }

  /** Gives up one that waits. */
  leave(queue: Queue, waiting: Waiting): void {
    const at = queue.waiting.indexOf(waiting);
    if (at < 0) return;
    queue.waiting.splice(at, 1);
    this.#waiting--;
  }

  /** The next one by fair queuing: that of the queue which has had the least. It stays until `take`. */
  next(): { queue: Queue; waiting: Waiting } | undefined {
    if (this.#waiting === 0) return undefined;
    let first: Queue | undefined;
    for (const queue of this.#queues)
      if (queue && queue.waiting.length > 0 && (!first || queue.due < first.due)) first = queue;
    return first && { queue: first, waiting: first.waiting[0]! };
  }

  take(queue: Queue): Waiting {
    const waiting = queue.waiting.shift()!;
    this.#waiting--;
    this.#virtualTime = Math.max(this.#virtualTime, queue.due);
    queue.due += waiting.seats;
    return waiting;
  }
}

/** Shuffle sharding: `handSize` different numbers below `deckSize`, always the same for a hash. */
export function deal(hash: number, deckSize: number, handSize: number): number[] {
  const hand: number[] = [];
  let rest = hash;
  for (let i = 0; i < handSize; i++) {
    const remaining = deckSize - i;
    // Mixed between draws: 32 bits are too few for large decks.
    rest = Math.imul(rest ^ (rest >>> 15), 0x2c1b3c6d) >>> 0;
    let card = rest % remaining;
    for (const taken of [...hand].sort((a, b) => a - b)) if (taken <= card) card++;
    hand.push(card);
  }
  return hand;
}

/** FNV-1a of 32 bits. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
