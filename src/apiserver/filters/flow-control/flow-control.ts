/**
 * API Priority and Fairness: requests wait in fair queues where the server has its hands full.
 * Seats that a level does not need are at once there for the others, up to what it may lend.
 * @see https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
 */
import type { FlowSchema, PriorityLevelConfiguration } from '#types';
import type { Clock } from '../../../api/machinery/clock.js';
import type { Attributes } from '../../../auth/user.js';
import { distinguisher, matches, sortedSchemas } from './classify.js';
import { type Counts, FlowMetrics } from './flow-metrics.js';
import { hashOf, Level, type Waiting } from './level.js';

export interface FlowControlOptions {
  clock: Clock;
  /** Seats in all; 600 when absent, as upstream's defaults make it. */
  concurrency?: number;
  /** How long a request may wait (ms); a quarter of the request timeout when absent. */
  maxWaitMs?: number;
}

export interface Classified {
  schema: FlowSchema;
  level: Level;
  counts: Counts;
}

/** A request that may be served. */
export interface Ticket extends Classified {
  release(): void;
}

export class TooManyRequests extends Error {
  constructor(readonly of: Classified) {
    super('Too many requests, please try again later.');
  }
}

const CONCURRENCY = 600;
const MAX_WAIT_MS = 15_000;
const MAX_CACHED = 10_000;
const OBJECTS_PER_SEAT = 100;
const MAX_SEATS = 10;
const MASTERS = 'system:masters';

export class FlowControl {
  readonly metrics = new FlowMetrics();
  readonly #options: FlowControlOptions;
  readonly #schemas = new Map<string, FlowSchema>();
  readonly #levels = new Map<string, Level>();
  #sorted: FlowSchema[] = [];
  readonly #classified = new Map<string, Classified>();
  /** Of those in the group system:masters: whatever they ask for, it is exempt. */
  #masters: Classified | undefined;
  /** How many objects the last list of a resource had. */
  readonly #counts = new Map<string, number>();

  constructor(options: FlowControlOptions) {
    this.#options = options;
  }

  get levels(): Iterable<Level> {
    return this.#levels.values();
  }

  get concurrency(): number {
    return this.#options.concurrency ?? CONCURRENCY;
  }

  setSchema(name: string, schema: FlowSchema | undefined): void {
    if (schema) this.#schemas.set(name, schema);
    else this.#schemas.delete(name);
    this.#changed();
  }

  setLevel(name: string, config: PriorityLevelConfiguration | undefined): void {
    const level = this.#levels.get(name);
    if (!config) {
      // Those that wait are served; nobody comes any more.
      this.#levels.delete(name);
      for (let next = level?.next(); next; next = level!.next()) this.#run(level!, level!.take(next.queue));
    } else if (level) level.config = config;
    else this.#levels.set(name, new Level(config, { nominal: 0, lower: 0, upper: 0 }));
    this.#share();
    this.#changed();
  }

  /** Undefined before the default objects are there. */
  classify(a: Attributes): Classified | undefined {
    if (this.#masters && a.user.groups.includes(MASTERS)) return this.#masters;
    const what = a.isResource ? `${a.group}/${a.resource}/${a.subresource} ${a.namespace}` : `path ${a.path}`;
    const key = `${a.verb} ${what} ${a.user.name} ${a.user.groups.join()}`;
    let found = this.#classified.get(key);
    if (!found) {
      found = this.#find(a);
      if (!found) return undefined;
      if (this.#classified.size >= MAX_CACHED) this.#classified.clear();
      this.#classified.set(key, found);
    }
    return found;
  }

  /** At once, or when it is its turn. Rejects with TooManyRequests, or with the reason of `signal`. */
  admit(a: Attributes, of: Classified, signal: AbortSignal): Ticket | Promise<Ticket> {
    const { level, schema } = of;
    const name = schema.metadata.name!;
    const seats = level.exempt ? 1 : this.#estimate(a);
    if (level.exempt || (level.waiting === 0 && this.#fits(level, seats))) return this.#ticket(of, seats);
    const queue = level.queueFor(hashOf(`${name} ${distinguisher(schema, a)}`));
    if (typeof queue === 'string') return this.#reject(of, queue);
    return new Promise((resolve, reject) => {
      const started = this.#options.clock.now();
      const end = (served: boolean) => {
        cancel();
        signal.removeEventListener('abort', abort);
        this.metrics.waited(level.name, name, served, this.#options.clock.now() - started);
      };
      const give = (reason: 'time-out' | 'cancelled', error: unknown) => {
        level.leave(queue, waiting);
        end(false);
        this.metrics.rejected(level.name, name, reason);
        reject(error);
      };
      const waiting: Waiting = {
        seats,
        schema: name,
        start: () => {
          end(true);
          resolve(this.#ticket(of, seats, true));
        },
      };
      const abort = () => give('cancelled', signal.reason);
      const cancel = this.#options.clock.after(this.#options.maxWaitMs ?? MAX_WAIT_MS, () =>
        give('time-out', new TooManyRequests(of)),
      );
      signal.addEventListener('abort', abort, { once: true });
      level.wait(queue, waiting);
    });
  }

  /** Tells how many objects a list had, which says how much the next is likely to cost. */
  listed(a: Attributes, objects: number): void {
    this.#counts.set(`${a.group}/${a.resource}`, objects);
  }

  #reject(of: Classified, reason: 'concurrency-limit' | 'queue-full'): Promise<never> {
    this.metrics.rejected(of.level.name, of.schema.metadata.name!, reason);
    return Promise.reject(new TooManyRequests(of));
  }

  #ticket(of: Classified, seats: number, taken = false): Ticket {
    const { level, schema, counts } = of;
    if (!taken) level.used += seats;
    counts.dispatched++;
    counts.executing++;
    counts.seats += seats;
    let open = true;
    return {
      level,
      schema,
      counts,
      release: () => {
        if (!open) return;
        open = false;
        level.used -= seats;
        counts.executing--;
        counts.seats -= seats;
        this.#dispatch(level);
      },
    };
  }

  /** A list takes seats by the number of its objects. */
  #estimate({ verb, group, resource }: Attributes): number {
    if (verb !== 'list') return 1;
    const objects = this.#counts.get(`${group}/${resource}`) ?? 0;
    return Math.max(1, Math.min(MAX_SEATS, Math.ceil(objects / OBJECTS_PER_SEAT)));
  }

  /** Whether `seats` more are there: of the level's own part, or of what nobody else has or keeps. */
  #fits(level: Level, seats: number): boolean {
    if (level.used === 0 || level.used + seats <= level.seats.lower) return true;
    if (level.used + seats > level.seats.upper) return false;
    let reserved = 0;
    for (const other of this.#levels.values())
      if (!other.exempt && other !== level) reserved += other.reserved;
    return reserved + level.used + seats <= this.concurrency;
  }

  /** Lets those start that fit now: of the level that became free first, then of the others. */
  #dispatch(freed: Level): void {
    this.#dispatchFrom(freed);
    for (const level of this.#levels.values())
      if (level !== freed && level.waiting > 0) this.#dispatchFrom(level);
  }

  #dispatchFrom(level: Level): void {
    for (let next = level.next(); next && this.#fits(level, next.waiting.seats); next = level.next())
      this.#run(level, level.take(next.queue));
  }

  #run(level: Level, waiting: Waiting): void {
    level.used += waiting.seats;
    waiting.start();
  }

  #share(): void {
    const limited = [...this.#levels.values()];
    const of = ({ config: { spec } }: Level) => spec.limited ?? spec.exempt;
    const shares = limited.reduce((sum, level) => sum + (of(level)?.nominalConcurrencyShares ?? 0), 0);
    for (const level of limited) {
      const { nominalConcurrencyShares = 0, lendablePercent = 0 } = of(level) ?? {};
      const nominal = Math.ceil((this.concurrency * nominalConcurrencyShares) / Math.max(1, shares));
      const borrowing = level.config.spec.limited?.borrowingLimitPercent;
      level.seats = {
        nominal,
        lower: nominal - Math.round((nominal * lendablePercent) / 100),
        upper:
          borrowing === undefined || borrowing === null
            ? this.concurrency
            : nominal + Math.round((nominal * borrowing) / 100),
      };
    }
    for (const level of limited) if (level.waiting > 0) this.#dispatchFrom(level);
  }

  #changed(): void {
    this.#sorted = sortedSchemas(this.#schemas.values());
    this.#classified.clear();
    const first = this.#sorted[0];
    const level = this.#levels.get('exempt');
    this.#masters = first?.metadata.name === 'exempt' && level ? this.#classifiedAs(first, level) : undefined;
  }

  #classifiedAs(schema: FlowSchema, level: Level): Classified {
    return { schema, level, counts: this.metrics.of(level.name, schema.metadata.name!) };
  }

  /** A schema whose level is missing is passed over. */
  #find(a: Attributes): Classified | undefined {
    for (const schema of this.#sorted) {
      const level = this.#levels.get(schema.spec.priorityLevelConfiguration.name);
      if (level && matches(schema, a)) return this.#classifiedAs(schema, level);
    }
    return undefined;
  }
}
