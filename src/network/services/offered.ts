/** Which pods EndpointSlices offer to new connections, and who waits until none does. */
import type { EndpointSlice } from '#types';

export class OfferedPods {
  readonly #podsOf = new Map<string, Set<string>>();
  /** Pod's uid → keys of the slices that offer it. */
  readonly #slicesOf = new Map<string, Set<string>>();
  readonly #waiting = new Map<string, (() => void)[]>();

  sliceChanged(key: string, slice: EndpointSlice | undefined): void {
    const before = this.#podsOf.get(key);
    const now = offeredBy(slice);
    if (now.size > 0) this.#podsOf.set(key, now);
    else this.#podsOf.delete(key);
    for (const uid of now) {
      const slices = this.#slicesOf.get(uid);
      if (slices) slices.add(key);
      else this.#slicesOf.set(uid, new Set([key]));
    }
    for (const uid of before ?? []) if (!now.has(uid)) this.#withdrawn(uid, key);
  }

  /** Resolves once no slice offers the pod. */
  gone(uid: string): Promise<void> {
    if (!this.#slicesOf.has(uid)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(uid, [...(this.#waiting.get(uid) ?? []), resolve]);
    });
  }

  /** Nobody waits any longer. */
  close(): void {
    for (const uid of this.#waiting.keys()) this.#tell(uid);
  }

  #withdrawn(uid: string, key: string): void {
    const slices = this.#slicesOf.get(uid);
    slices?.delete(key);
    if (slices?.size !== 0) return;
    this.#slicesOf.delete(uid);
    this.#tell(uid);
  }

  #tell(uid: string): void {
    for (const resolve of this.#waiting.get(uid) ?? []) resolve();
    this.#waiting.delete(uid);
  }
}

function offeredBy(slice: EndpointSlice | undefined): Set<string> {
  const pods = new Set<string>();
  for (const { targetRef, conditions } of slice?.endpoints ?? [])
    if (targetRef?.uid && conditions?.ready !== false && !conditions?.terminating) pods.add(targetRef.uid);
  return pods;
}
