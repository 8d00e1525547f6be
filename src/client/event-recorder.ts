/** Tells of what happens to objects as Events; repeats become a count (client-go `tools/record`). */

import type { Logger } from 'pino';
import type { Event, ObjectReference } from '#types';
import { type Clock, systemClock } from '../api/machinery/clock.js';
import { isReason, StatusError } from '../api/machinery/status.js';
import type { KubeObject } from '../api/machinery/types.js';
import type { Client, ResourceClient, ResourceRef } from './client.js';
import { EventCorrelator } from './event-correlator.js';
import { sleep } from './retry.js';

export interface EventRecorderOptions {
  /** Who tells, such as `kubelet` or `default-scheduler`. */
  component: string;
  /** The node, for what runs on one. */
  host?: string;
  clock?: Clock;
  logger?: Logger;
}

export interface EventDetails {
  /** A part of the object, such as `spec.containers{web}`. */
  fieldPath?: string;
  annotations?: Record<string, string>;
}

export type Regarding = KubeObject | (ObjectReference & { metadata?: undefined });

const EVENTS: ResourceRef<Event> = {
  group: '',
  version: 'v1',
  apiVersion: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

/** What waits to be written beyond this is dropped. */
const MAX_QUEUE = 1000;
/** Events that are being written at the same time. */
const MAX_WRITING = 16;
const MAX_TRIES = 12;
const RETRY_DELAY = 10_000;

export class EventRecorder {
  readonly #client: ResourceClient<Event>;
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #correlator: EventCorrelator;
  readonly #queue: Event[] = [];
  readonly #abort = new AbortController();
  #serial = 0;
  #draining: Promise<void> | undefined;

  constructor(client: Client, options: EventRecorderOptions) {
    this.#client = client.of(EVENTS);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#correlator = new EventCorrelator(this.#clock);
  }

  /** Never blocks and never throws; an event that can't be written is dropped. */
  event(
    regarding: Regarding,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    details: EventDetails = {},
  ): void {
    if (this.#abort.signal.aborted || this.#queue.length >= MAX_QUEUE) return;
    this.#queue.push(this.#make(regarding, type, reason, message, details));
    this.#draining ??= this.#drain();
  }

  /** Resolves once all events so far are written or given up. */
  async flush(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  /** Drops what is not written yet. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#queue.length = 0;
    await this.#draining;
  }

  /** Several are written at a time, but those that count on one Event one after the other. */
  async #drain(): Promise<void> {
    const writing = new Map<string, Promise<void>>();
    // Not before the caller has noted that it runs.
    await Promise.resolve();
    while (this.#queue.length > 0 || writing.size > 0) {
      const next = this.#queue.shift();
      const event = next === undefined ? undefined : this.#correlator.correlate(next);
      if (event !== undefined) {
        const { name } = event.metadata;
        const written = (writing.get(name) ?? Promise.resolve()).then(() => this.#record(event));
        writing.set(name, written);
        void written.then(() => {
          if (writing.get(name) === written) writing.delete(name);
        });
      }
      const enough = this.#queue.length === 0 || writing.size >= MAX_WRITING;
      if (enough && writing.size > 0) await Promise.race(writing.values());
    }
    this.#draining = undefined;
  }

  /** Never rejects. */
  async #record(event: Event): Promise<void> {
    const { signal } = this.#abort;
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        await this.#write(event);
        return;
      } catch (error) {
        const refused = error instanceof StatusError && error.code < 500 && error.code !== 429;
        if (refused || tries >= MAX_TRIES) {
          // A namespace that goes away takes no more Events: nothing to worry about.
          const level = isReason(error, 'Forbidden') || isReason(error, 'NotFound') ? 'debug' : 'warn';
          this.#options.logger?.[level]({ err: error, reason: event.reason }, 'an event was dropped');
          return;
        }
      }
      await sleep(this.#clock, RETRY_DELAY, signal);
    }
  }

  async #write(event: Event): Promise<void> {
    const { signal } = this.#abort;
    const { namespace, name } = event.metadata;
    if ((event.count ?? 1) > 1) {
      const { count, lastTimestamp, message } = event;
      try {
        const patch = { count, lastTimestamp, message };
        await this.#client.patch(namespace!, name, patch, { type: 'strategic', signal });
        return;
      } catch (error) {
        // The Event has outlived its time; the repeat starts a new one.
        if (!isReason(error, 'NotFound')) throw error;
      }
    }
    await this.#client.create(event, { signal });
  }

  #make(regarding: Regarding, type: string, reason: string, message: string, details: EventDetails): Event {
    const { component, host = '' } = this.#options;
    const involvedObject = reference(regarding, details.fieldPath);
    const now = this.#clock.now();
    const time = `${new Date(now).toISOString().slice(0, 19)}Z`;
    // Upstream ends the name with the time in nanoseconds; a serial number stands for what the clock can't tell.
    const unique = (BigInt(now) * 1_000_000n + BigInt(this.#serial++ % 1_000_000)).toString(16);
    const { annotations } = details;
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: {
        name: `${involvedObject.name}.${unique}`,
        namespace: involvedObject.namespace || 'default',
        ...(annotations === undefined ? {} : { annotations }),
      },
      involvedObject,
      reason,
      message,
      source: { component, ...(host === '' ? {} : { host }) },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
      type,
      reportingComponent: component,
      reportingInstance: host,
    };
  }
}

function reference(regarding: Regarding, fieldPath: string | undefined): ObjectReference {
  if (regarding.metadata === undefined)
    return fieldPath === undefined ? regarding : { ...regarding, fieldPath };
  const { apiVersion, kind, metadata } = regarding;
  const { namespace, name, uid, resourceVersion } = metadata;
  return {
    kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    ...(uid === undefined ? {} : { uid }),
    apiVersion,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(fieldPath === undefined ? {} : { fieldPath }),
  };
}
