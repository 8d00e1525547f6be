/** Numbers for names: of 32 bits, from the name's hash, so that they are the same after a restart. */
import { createHash } from 'node:crypto';

export class Numbers {
  readonly #byName = new Map<string, number>();
  readonly #taken = new Set<number>();

  readonly of = (name: string): number => {
    let number = this.#byName.get(name);
    if (number !== undefined) return number;
    number = createHash('sha256').update(name).digest().readUInt32LE(0);
    while (number === 0 || this.#taken.has(number)) number = (number + 1) >>> 0;
    this.#byName.set(name, number);
    this.#taken.add(number);
    return number;
  };

  release(name: string): void {
    const number = this.#byName.get(name);
    if (number === undefined) return;
    this.#byName.delete(name);
    this.#taken.delete(number);
  }
}
