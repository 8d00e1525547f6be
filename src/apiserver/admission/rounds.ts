/** Which webhooks or policies are called once more, after others changed the object (reinvocationPolicy). */
import { isDeepStrictEqual } from 'node:util';
import type { AdmissionRequest } from './admission.js';

export class Rounds {
  readonly #called = new Set<string>();
  readonly #again = new Set<string>();
  #left: unknown;
  #second = false;

  /** A second round begins: a changed object is news to all that were called. */
  begin(object: unknown): void {
    this.#second = true;
    if (!isDeepStrictEqual(this.#left, object)) this.callAgain();
  }

  /** Whether this round passes over it. */
  skips(id: string): boolean {
    return this.#second && !this.#again.has(id);
  }

  /** It was called, and wants to be again if the object changes. */
  called(id: string): void {
    this.#called.add(id);
  }

  /** The object changed. */
  callAgain(): void {
    for (const id of this.#called) this.#again.add(id);
    this.#called.clear();
  }

  /** The round ends with this object. */
  leave(object: unknown): void {
    this.#left = structuredClone(object);
  }
}

const all = new WeakMap<AdmissionRequest, Map<string, Rounds>>();

/** Those of one plugin for a request, at the beginning of a round. */
export function roundsOf(request: AdmissionRequest, plugin: string): Rounds {
  const own = all.get(request) ?? new Map<string, Rounds>();
  all.set(request, own);
  const rounds = own.get(plugin) ?? new Rounds();
  own.set(plugin, rounds);
  if (request.reinvoked) rounds.begin(request.object);
  return rounds;
}
