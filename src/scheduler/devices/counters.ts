/** Devices that are parts of others: what they take of the counters that their pool shares (KEP-4815). */
import { parseQuantity } from '../../api/machinery/quantity.js';
import type { Pool, PoolDevice } from './pools.js';

/** Whether the pool has what the device takes, beside those that are taken. */
export function hasCounters(pool: Pool, { device }: PoolDevice, isTaken: (id: string) => boolean): boolean {
  if (!device.consumesCounters?.length) return true;
  const others = pool.devices.filter((other) => other.device.consumesCounters?.length && isTaken(other.id));
  const parts = [device, ...others.map((other) => other.device)];
  return device.consumesCounters.every(({ counterSet, counters = {} }) =>
    Object.keys(counters).every((name) => {
      const has = pool.counters.get(counterSet)?.[name]?.value;
      const used = parts
        .flatMap(({ consumesCounters = [] }) => consumesCounters)
        .filter((one) => one.counterSet === counterSet)
        .reduce((sum, one) => sum + nano(one.counters?.[name]?.value), 0n);
      return has !== undefined && used <= nano(has);
    }),
  );
}

const nano = (quantity: string | undefined): bigint =>
  quantity === undefined ? 0n : parseQuantity(quantity).nano;
