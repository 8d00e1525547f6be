/** A queue whose elements keep their position for ever, while old ones are dropped from its start. */

export class Ring<T> {
  #items: T[] = [];
  #start = 0;

  /** The position of the first element that is still there. */
  get start(): number {
    return this.#start;
  }

  /** The position that the next element gets. */
  get end(): number {
    return this.#start + this.#items.length;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** `position` is from `start` to below `end`. */
  at(position: number): T {
    return this.#items[position - this.#start]!;
  }

  /** Drops and returns what is before `position`. */
  dropBefore(position: number): T[] {
    if (position <= this.#start) return [];
    const dropped = this.#items.splice(0, position - this.#start);
    this.#start += dropped.length;
    return dropped;
  }

  /** The first position whose element does not satisfy `before`, which holds for a beginning of the ring. */
  search(before: (item: T) => boolean): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (before(this.#items[middle]!)) low = middle + 1;
      else high = middle;
    }
    return this.#start + low;
  }
}
