/** Which of the host's ids are those of a pod with a user namespace (KEP-127): a range for each, that no other has. */
import type { Pod } from '#types';
import type { Runtime, SandboxConfig } from '../../runtime/types.js';

/** As many as upstream's kubelet gives by default: all that a 16-bit user id can name. */
const SIZE = 65_536;
/** The first range is the host's own. Ids are 32 bits wide, and the highest is none. */
const RANGES = Math.floor((2 ** 32 - 2) / SIZE);

type Range = NonNullable<SandboxConfig['users']>;

export class UserRanges {
  readonly #claimed = new Map<string, Range>();

  /** The runtime keeps those of the sandboxes that it has, also for a later agent. */
  constructor(private readonly runtime: Pick<Runtime, 'sandboxes'>) {}

  /** The lowest free range, until it is released; undefined for a pod that has the host's ids. */
  claim({ spec, metadata }: Pod): SandboxConfig['users'] {
    if (spec.hostUsers !== false) return undefined;
    const uid = metadata.uid!;
    for (const { id, users } of this.runtime.sandboxes()) if (users) this.#claimed.set(id, users);
    const own = this.#claimed.get(uid);
    if (own !== undefined) return own;
    const taken = new Set([...this.#claimed.values()].flatMap(slotsOf));
    for (let slot = 1; slot < RANGES; slot++)
      if (!taken.has(slot)) {
        const range = { base: slot * SIZE, size: SIZE };
        this.#claimed.set(uid, range);
        return range;
      }
    throw new Error('could not find an empty slot to allocate a user namespace');
  }

  /** Nothing of the pod runs any more. */
  release(uid: string): void {
    this.#claimed.delete(uid);
  }
}

/** A range that was not made here may begin anywhere. */
function slotsOf({ base, size }: Range): number[] {
  const first = Math.floor(base / SIZE);
  const last = Math.floor((base + size - 1) / SIZE);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
