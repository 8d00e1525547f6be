/** What calls cost, by the sizes of what they work on (cel-go's and Kubernetes' cost models). */
import type { CallCost } from '../declare.js';
import { DYN } from '../types.js';
import { ListValue, Opaque, sizeOf, type Value } from '../values.js';

/** Going over a tenth of a string costs as much as a step. */
export const TRAVERSAL = 0.1;
const REGEX = 0.25;

export const traverse = (size: number, factor = 1): number => Math.ceil(size * factor * TRAVERSAL);

/** The receiver or first argument is gone over once. */
export const once: CallCost = ([value]) => traverse(sizeOf(value!));
/** … and what comes of it is made. */
export const twice: CallCost = ([value]) => traverse(sizeOf(value!), 2);
/** … the making of the result counts only when it is made. */
export const resultTwice: CallCost = (_, result) => traverse(sizeOf(result), result instanceof Sized ? 1 : 2);
/** What is looked for at an end. */
export const argument: CallCost = ([, value]) => traverse(sizeOf(value!));
export const shorter: CallCost = ([a, b]) => traverse(Math.min(sizeOf(a!), sizeOf(b!)));
export const both: CallCost = ([a, b]) => traverse(sizeOf(a!) + sizeOf(b!));
export const product: CallCost = ([a, b]) => traverse(sizeOf(a!)) * traverse(sizeOf(b!));
export const regex: CallCost = ([text, pattern]) =>
  traverse(1 + sizeOf(text!)) * Math.ceil(sizeOf(pattern!) * REGEX);

/** Once over a list; strings in it count by their length. */
export const elements: CallCost = ([value]) => {
  if (value instanceof Sized) return value.traversal;
  if (!(value instanceof ListValue))
    return typeof value === 'string' ? traverse(sizeOf(value)) : sizeOf(value!);
  let cost = 0;
  for (const item of value) cost += elementCost(item);
  return cost;
};

const elementCost = (item: Value): number =>
  typeof item === 'string' || item instanceof Uint8Array ? traverse(sizeOf(item)) : 1;

/** Every pair of two lists. */
export const pairs: CallCost = ([a, b]) => Math.max(1, sizeOf(a!)) * Math.max(1, sizeOf(b!));

/** Stands for a value of which only the size is known; what calls cost is estimated with it. */
export class Sized extends Opaque {
  readonly type = DYN;
  readonly #size: number;
  constructor(
    size: number,
    /** Going over all its elements costs this much. */
    readonly traversal: number,
  ) {
    super();
    this.#size = size;
  }
  override get size(): number {
    return this.#size;
  }
}
