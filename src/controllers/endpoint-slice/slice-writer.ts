/** Carries a plan out, and knows whether the cache shows its own writes yet (upstream `EndpointSliceTracker`). */
import type { EndpointSlice, OwnerReference } from '#types';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { endpointSlices } from '../../api/resources/index.js';
import type { Client, Informer } from '../../client/index.js';
import type { Plan } from './plan.js';

/** The generation that a slice has once it is deleted. */
const DELETED = -1;
/** A cache that does not show a write by then never will: somebody else has undone it. */
const PATIENCE_MS = 5000;

interface Written {
  uid: string;
  generation: number;
  /** When, in milliseconds. */
  at: number;
}

export interface SliceMeta {
  namespace: string;
  generateName: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  owner: OwnerReference;
}

export class SliceWriter {
  readonly #client: Client;
  readonly #slices: Informer<EndpointSlice>;
  readonly #now: () => number;
  /** By owner's key: the last write of each slice, by its key. */
  readonly #written = new Map<string, Map<string, Written>>();

  constructor(client: Client, slices: Informer<EndpointSlice>, now: () => number) {
    this.#client = client;
    this.#slices = slices;
    this.#now = now;
  }

  /** Whether the cache lacks what was written for this owner. Events of slices tell when it does not any more. */
  isBehind(owner: string): boolean {
    const written = this.#written.get(owner);
    for (const [key, { uid, generation, at }] of written ?? []) {
      const { metadata } = this.#slices.get(key) ?? {};
      const isSame = metadata?.uid === uid;
      const isThere = generation === DELETED ? !isSame : isSame && (metadata?.generation ?? 0) >= generation;
      if (isThere || this.#now() - at > PATIENCE_MS) written!.delete(key);
      else return true;
    }
    return false;
  }

  forget(owner: string): void {
    this.#written.delete(owner);
  }

  /** Creates before it updates and deletes, so that no endpoint is missing in between. */
  async apply(owner: string, plan: Plan, meta: SliceMeta): Promise<void> {
    const client = this.#client.of(endpointSlices);
    for (const { addressType, ports, endpoints } of plan.create)
      this.#note(
        owner,
        await client.create({
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: {
            ...{ namespace: meta.namespace, generateName: meta.generateName, labels: meta.labels },
            ...(Object.keys(meta.annotations).length > 0 ? { annotations: meta.annotations } : {}),
            ownerReferences: [meta.owner],
          },
          addressType,
          endpoints,
          ports,
        } as unknown as EndpointSlice),
      );
    for (const slice of plan.update) {
      const { annotations: _, ...metadata } = slice.metadata;
      const annotations = Object.keys(meta.annotations).length > 0 ? { annotations: meta.annotations } : {};
      const { labels } = meta;
      const written = {
        ...slice,
        metadata: { ...metadata, labels, ...annotations, ownerReferences: [meta.owner] },
      };
      this.#note(owner, await client.update(written));
    }
    for (const slice of plan.delete) await this.#delete(owner, slice);
  }

  async #delete(owner: string, slice: EndpointSlice): Promise<void> {
    const { namespace = '', name, uid = '' } = slice.metadata;
    try {
      await this.#client.of(endpointSlices).delete(namespace, name, { preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
    this.#remember(owner, slice, DELETED);
  }

  #note(owner: string, slice: EndpointSlice): void {
    this.#remember(owner, slice, slice.metadata.generation ?? 0);
  }

  #remember(owner: string, slice: EndpointSlice, generation: number): void {
    const written = this.#written.get(owner) ?? new Map<string, Written>();
    this.#written.set(owner, written);
    written.set(objectKey(slice), { uid: slice.metadata.uid ?? '', generation, at: this.#now() });
  }
}
