/** What the hub has told of desired state: the newest version of each object, with listeners. */
import { deepFreeze, type KubeObject } from '../../api/machinery/types.js';
import type { Change, Known } from '../../rpc/hub.js';

/** `object` is undefined when it is gone. */
export type ChangeListener = (key: string, object: any | undefined, old: any | undefined) => void;

export class NodeObjects {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #listeners = new Map<string, ChangeListener[]>();
  readonly #synced = new Map<string, { promise: Promise<void>; resolve(): void }>();

  get<T extends KubeObject>(resource: string, key: string): T | undefined {
    return this.#objects.get(resource)?.get(key) as T | undefined;
  }

  list<T extends KubeObject>(resource: string): T[] {
    return [...(this.#objects.get(resource)?.values() ?? [])] as T[];
  }

  on(resource: string, listener: ChangeListener): void {
    this.#listeners.set(resource, [...(this.#listeners.get(resource) ?? []), listener]);
  }

  /** Resolves once all there is of the resource has been told for the first time. */
  synced(resource: string): Promise<void> {
    return this.#sync(resource).promise;
  }

  markSynced(resource: string): void {
    this.#sync(resource).resolve();
  }

  apply({ resource = '', key = '', object: bytes }: Change): void {
    const objects = this.#objects.get(resource) ?? new Map<string, KubeObject>();
    this.#objects.set(resource, objects);
    const old = objects.get(key);
    let object: KubeObject | undefined;
    if (bytes?.length) {
      object = deepFreeze(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()));
      objects.set(key, object!);
    } else {
      if (!objects.delete(key)) return;
    }
    for (const listener of this.#listeners.get(resource) ?? []) listener(key, object, old);
  }

  /** What to say in Hello. */
  known(): Known[] {
    return [...this.#objects].map(([resource, objects]) => ({
      resource,
      versions: [...objects].map(([key, { metadata }]) => ({
        key,
        uid: metadata.uid ?? '',
        revision: metadata.resourceVersion ?? '',
      })),
    }));
  }

  #sync(resource: string) {
    let sync = this.#synced.get(resource);
    if (!sync) {
      let resolve = () => {};
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      sync = { promise, resolve };
      this.#synced.set(resource, sync);
    }
    return sync;
  }
}
