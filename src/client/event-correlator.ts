/** Joins repeated and similar events, and stops floods (client-go `record.EventCorrelator` with its defaults). */
import type { Event } from '#types';
import type { Clock } from '../api/machinery/clock.js';
import { Lru } from './lru.js';

/** So many different messages of one kind within the interval are told one by one; then they are combined. */
const MAX_SIMILAR = 10;
const SIMILAR_INTERVAL = 600_000;
/** Events about one object from one source: at once, and then one each five minutes. */
const BURST = 25;
const REFILL_MS = 300_000;
const CACHE = 4096;

interface Seen {
  count: number;
  firstTimestamp: string | undefined;
  name: string;
}

export class EventCorrelator {
  readonly #similar = new Lru<string, { messages: Set<string>; last: number }>(CACHE);
  readonly #seen = new Lru<string, Seen>(CACHE);
  readonly #buckets = new Lru<string, { tokens: number; at: number }>(CACHE);

  constructor(readonly clock: Clock) {}

  /** The event to write (its count above 1: as a patch of what is there), or undefined if it is one too many. */
  correlate(event: Event): Event | undefined {
    const { event: aggregate, key } = this.#aggregate(event);
    const observed = this.#observe(aggregate, key);
    return this.#takeToken(sourceAndObject(event)) ? observed : undefined;
  }

  #aggregate(event: Event): { event: Event; key: string } {
    const group = similarKey(event);
    const now = this.clock.now();
    let record = this.#similar.get(group);
    if (record === undefined || now - record.last > SIMILAR_INTERVAL)
      record = { messages: new Set(), last: now };
    record.messages.add(event.message ?? '');
    record.last = now;
    this.#similar.set(group, record);
    if (record.messages.size < MAX_SIMILAR) return { event, key: exactKey(event) };

    const [oldest] = record.messages;
    record.messages.delete(oldest!);
    const message = `(combined from similar events): ${event.message ?? ''}`;
    return { event: { ...event, message }, key: group };
  }

  #observe(event: Event, key: string): Event {
    const seen = this.#seen.get(key);
    const result: Event =
      seen === undefined
        ? event
        : {
            ...event,
            metadata: { ...event.metadata, name: seen.name },
            firstTimestamp: seen.firstTimestamp,
            count: seen.count + 1,
          };
    this.#seen.set(key, seenOf(result));
    return result;
  }

  #takeToken(key: string): boolean {
    const now = this.clock.now();
    const bucket = this.#buckets.get(key) ?? { tokens: BURST, at: now };
    bucket.tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) / REFILL_MS);
    bucket.at = now;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}

function seenOf({ count, firstTimestamp, metadata }: Event): Seen {
  return { count: count ?? 1, firstTimestamp, name: metadata.name };
}

function sourceAndObject({ source, involvedObject: o }: Event): string {
  return [source?.component, source?.host, o.kind, o.namespace, o.name, o.uid, o.apiVersion].join('\0');
}

function similarKey(event: Event): string {
  const { type, reason, reportingComponent, reportingInstance, involvedObject } = event;
  return [
    sourceAndObject(event),
    involvedObject.fieldPath,
    type,
    reason,
    reportingComponent,
    reportingInstance,
  ].join('\0');
}

function exactKey(event: Event): string {
  const { involvedObject, type, reason, message } = event;
  return [sourceAndObject(event), involvedObject.fieldPath, type, reason, message].join('\0');
}
