/** Finds devices of a node for claims (upstream `dynamic-resource-allocation/structured`). Pure. */
import type {
  AllocationResult,
  DeviceClass,
  DeviceRequestAllocationResult,
  DeviceSubRequest,
  ExactDeviceRequest,
  Node,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#types';
import { tolerated } from '../../api/machinery/taints.js';
import { objectKey } from '../../api/machinery/types.js';
import { allowsBoth, type Chosen } from './constraints.js';
import { hasCounters } from './counters.js';
import { isReachable, type Pool, type PoolDevice, poolId } from './pools.js';
import { allocationResult } from './result.js';
import { matchesSelectors, SelectorError } from './selectors.js';

export interface Inventory {
  pools: Pool[];
  /** Ids of devices that claims have. */
  taken: ReadonlySet<string>;
  deviceClass(name: string): DeviceClass | undefined;
}

/** One way to satisfy a request. */
interface Alternative {
  request: string;
  part: ExactDeviceRequest | DeviceSubRequest;
}

export interface Pick extends Chosen {
  part: Alternative['part'];
}

const MAX_DEVICES = 32;
/** So many devices are tried on a node before it counts as without a way: some searches would take years. */
const MAX_STEPS = 200_000;

const isAdmin = (part: Alternative['part']): boolean => ('adminAccess' in part && part.adminAccess) ?? false;

/** For each claim what it gets; undefined when the node has not enough. @throws SelectorError */
export function allocate(
  claims: ResourceClaim[],
  node: Node,
  inventory: Inventory,
): AllocationResult[] | undefined {
  const search = new Search(claims, node, inventory);
  const picks = search.run();
  return picks && claims.map((claim, i) => allocationResult(claim, picks[i]!, inventory, node));
}

/** Tries the devices of each request in turn, and goes back where a later one finds none. */
class Search {
  readonly #picks: Pick[][];
  /** Chosen by this search. */
  readonly #chosen = new Set<string>();
  readonly #pools: ReadonlyMap<string, Pool>;
  #steps = 0;
  readonly #candidates = new Map<Alternative['part'], PoolDevice[]>();

  constructor(
    private readonly claims: ResourceClaim[],
    private readonly node: Node,
    private readonly inventory: Inventory,
  ) {
    this.#picks = claims.map(() => []);
    this.#pools = new Map(inventory.pools.map((pool) => [poolId(pool.driver, pool.name), pool]));
  }

  run(): Pick[][] | undefined {
    return this.#request(0, 0) ? this.#picks : undefined;
  }

  #request(claim: number, index: number): boolean {
    if (claim === this.claims.length) return true;
    const request = this.claims[claim]!.spec.devices?.requests?.[index];
    if (request === undefined) return this.#request(claim + 1, 0);
    const { name, exactly, firstAvailable = [] } = request;
    const alternatives = exactly
      ? [{ request: name, part: exactly }]
      : firstAvailable.map((part) => ({ request: `${name}/${part.name}`, part }));
    return alternatives.some((alternative) => {
      const candidates = this.#candidatesOf(alternative, claim);
      const isAll = alternative.part.allocationMode === 'All';
      const count = isAll ? candidates.length : (alternative.part.count ?? 1);
      if (count === 0 || count > candidates.length || this.#picks[claim]!.length + count > MAX_DEVICES)
        return false;
      return this.#devices(claim, alternative, candidates, 0, count, () => this.#request(claim, index + 1));
    });
  }

  /** Chooses `count` of the candidates from `start` on; true when the rest could be found, too. */
  #devices(
    claim: number,
    alternative: Alternative,
    candidates: PoolDevice[],
    start: number,
    count: number,
    rest: () => boolean,
  ): boolean {
    if (count === 0) return rest();
    const picks = this.#picks[claim]!;
    const { constraints } = this.claims[claim]!.spec.devices ?? {};
    for (let i = start; i <= candidates.length - count; i++) {
      if (++this.#steps > MAX_STEPS) return false;
      const pick: Pick = { ...alternative, found: candidates[i]! };
      const { id } = pick.found;
      const isOwn = !isAdmin(alternative.part);
      if (isOwn && !this.#isFree(pick.found)) continue;
      if (!allowsBoth(constraints, pick, picks)) continue;
      picks.push(pick);
      if (isOwn) this.#chosen.add(id);
      if (this.#devices(claim, alternative, candidates, i + 1, count - 1, rest)) return true;
      if (isOwn) this.#chosen.delete(id);
      picks.pop();
    }
    return false;
  }

  #isFree(found: PoolDevice): boolean {
    const isTaken = (id: string) => this.inventory.taken.has(id) || this.#chosen.has(id);
    const pool = this.#pools.get(poolId(found.driver, found.pool))!;
    return !isTaken(found.id) && hasCounters(pool, found, isTaken);
  }

  /** Devices that are what is asked for, whether they are free or not. */
  #candidatesOf({ part, request }: Alternative, index: number): PoolDevice[] {
    const known = this.#candidates.get(part);
    if (known) return known;
    const { pools, deviceClass } = this.inventory;
    const claim = this.claims[index]!;
    const found: PoolDevice[] = [];
    for (const pool of pools) {
      const reachable = pool.devices.filter((one) => isReachable(one, this.node));
      if (reachable.length === 0) continue;
      const why = pool.invalid ? 'is invalid' : pool.isIncomplete ? 'is currently being updated' : undefined;
      if (why && part.allocationMode === 'All')
        throw new SelectorError(
          `claim ${objectKey(claim)}, request ${request}: asks for all devices, but resource pool ${pool.driver}/${pool.name} ${why}`,
        );
      if (why) continue;
      for (const one of reachable)
        if (
          matchesSelectors(one, deviceClass(part.deviceClassName)!, part.selectors, objectKey(claim)) &&
          isTolerated(one, part)
        )
          found.push(one);
    }
    this.#candidates.set(part, found);
    return found;
  }
}

const isTolerated = ({ device }: PoolDevice, { tolerations }: Alternative['part']): boolean =>
  (device.taints ?? []).every((taint) => taint.effect === 'None' || tolerated(tolerations, taint));

/** Ids of what an allocation takes from others. */
export const takenBy = (
  allocation: AllocationResult | undefined,
  id: (result: DeviceRequestAllocationResult) => string,
): string[] => (allocation?.devices?.results ?? []).flatMap((one) => (one.adminAccess ? [] : [id(one)]));
