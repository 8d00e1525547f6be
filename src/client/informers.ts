/** Informers by resource and selectors, so that all users in a process share one cache of each. */
import type { Logger } from 'pino';
import type { Clock } from '../api/machinery/clock.js';
import type { KubeObject } from '../api/machinery/types.js';
import type { Client, ResourceRef } from './client.js';
import type { Indexes } from './indexer.js';
import { Informer } from './informer.js';

export interface InformersOptions {
  clock?: Clock;
  logger?: Logger;
}

export interface SharedInformerOptions<T extends KubeObject> {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Merged into those that the shared informer has; an index of the same name stays. */
  indexes?: Indexes<T>;
}

export class Informers {
  readonly #informers = new Map<string, Informer<any>>();
  #started = false;

  constructor(
    readonly client: Client,
    readonly options: InformersOptions = {},
  ) {}

  /** The informer of a resource and selection; it starts with the others, or at once after `start`. */
  of<T extends KubeObject>(resource: ResourceRef<T>, options: SharedInformerOptions<T> = {}): Informer<T> {
    const { namespace = '', labelSelector = '', fieldSelector = '', indexes } = options;
    const id = idOf(resource, namespace, labelSelector, fieldSelector);
    let informer: Informer<T> | undefined = this.#informers.get(id);
    if (informer === undefined) {
      const { clock, logger } = this.options;
      informer = new Informer(this.client.of(resource), { ...options, clock, logger });
      this.#informers.set(id, informer);
      if (this.#started) informer.start();
    } else if (indexes !== undefined) informer.addIndexes(indexes);
    return informer;
  }

  start(): void {
    this.#started = true;
    for (const informer of this.#informers.values()) informer.start();
  }

  /** Ends the informer of all objects of a resource, which is no longer served. */
  drop(resource: ResourceRef<any>): void {
    const id = idOf(resource, '', '', '');
    void this.#informers.get(id)?.close();
    this.#informers.delete(id);
  }

  /** Resolves once all informers that there are now have synced. */
  async synced(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.synced));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.close()));
  }
}

const idOf = ({ apiVersion, plural }: ResourceRef<any>, ...selection: string[]): string =>
  JSON.stringify([apiVersion, plural, ...selection]);
