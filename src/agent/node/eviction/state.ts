/** Which thresholds are met, since when, and which conditions the node has of it. Pure but for what it remembers. */
import {
  amount,
  type EvictionSettings,
  isMemory,
  type Observations,
  type Pressure,
  pressureOf,
  type Threshold,
} from './thresholds.js';

export class EvictionState {
  readonly #first = new Map<Threshold, number>();
  readonly #seen = new Map<Pressure, number>();
  #unresolved: Threshold[] = [];
  #conditions = new Set<Pressure>();

  constructor(private readonly settings: EvictionSettings) {}

  get conditions(): ReadonlySet<Pressure> {
    return this.#conditions;
  }

  /** Thresholds for which pods have to go now: memory first. */
  update(observations: Observations, now: number): Threshold[] {
    const met = this.settings.thresholds.filter(
      (t) => isMet(t, observations, 0) || (this.#unresolved.includes(t) && isMet(t, observations, 1)),
    );
    for (const threshold of this.#first.keys()) if (!met.includes(threshold)) this.#first.delete(threshold);
    for (const threshold of met) {
      if (!this.#first.has(threshold)) this.#first.set(threshold, now);
      this.#seen.set(pressureOf(threshold.signal), now);
    }
    for (const [pressure, seen] of this.#seen)
      if (seen !== now && now - seen >= this.settings.transitionMs) this.#seen.delete(pressure);
    this.#conditions = new Set(this.#seen.keys());
    this.#unresolved = met.filter((t) => now - this.#first.get(t)! >= t.graceMs);
    return this.#unresolved.toSorted((a, b) => Number(isMemory(b.signal)) - Number(isMemory(a.signal)));
  }
}

/** `reclaim` 1: with what is to be won on top. */
function isMet(
  { signal, value, minReclaim }: Threshold,
  observations: Observations,
  reclaim: 0 | 1,
): boolean {
  const seen = observations[signal];
  if (!seen) return false;
  const more = reclaim && minReclaim ? amount(minReclaim, seen.capacity) : 0;
  return seen.available < amount(value, seen.capacity) + more;
}
