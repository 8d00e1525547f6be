/** Pools of devices, from what drivers publish in ResourceSlices (upstream `structured/pools`). */
import type { CounterSet, Device, Node, ResourceSlice } from '#types';
import { matchesNodeSelector } from '../../api/machinery/node-selector.js';

/** A device with where it is from. */
export interface PoolDevice {
  /** `<driver>/<pool>/<device>`. */
  id: string;
  driver: string;
  pool: string;
  device: Device;
  slice: ResourceSlice;
}

export interface Pool {
  driver: string;
  name: string;
  /** Its driver has not published all of it yet. */
  isIncomplete: boolean;
  /** Why it can't be used at all. */
  invalid?: string;
  devices: PoolDevice[];
  /** What its devices share, by name of the set. */
  counters: Map<string, NonNullable<CounterSet['counters']>>;
}

export const poolId = (driver: string, name: string): string => `${driver}/${name}`;

export const deviceId = (driver: string, pool: string, device: string): string =>
  `${driver}/${pool}/${device}`;

/** Of each pool only what belongs to its newest generation, in the order of names. */
export function poolsOf(slices: ResourceSlice[]): Pool[] {
  const byPool = new Map<string, ResourceSlice[]>();
  for (const slice of slices) {
    const { driver, pool } = slice.spec;
    const key = poolId(driver, pool.name);
    const known = byPool.get(key) ?? [];
    const generation = known[0]?.spec.pool.generation ?? pool.generation;
    if (pool.generation < generation) continue;
    byPool.set(key, pool.generation > generation ? [slice] : [...known, slice]);
  }
  return [...byPool.keys()].sort().map((key) => poolOf(byPool.get(key)!));
}

function poolOf(slices: ResourceSlice[]): Pool {
  const { driver, pool } = slices[0]!.spec;
  const sorted = slices.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const devices = sorted.flatMap((slice) =>
    (slice.spec.devices ?? []).map((device) => ({
      ...{ id: deviceId(driver, pool.name, device.name), driver, pool: pool.name, device, slice },
    })),
  );
  const names = devices.map(({ device }) => device.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  return {
    driver,
    name: pool.name,
    isIncomplete: slices.length !== pool.resourceSliceCount,
    ...(twice === undefined ? {} : { invalid: `duplicate device name ${twice}` }),
    devices,
    counters: new Map(
      sorted.flatMap(({ spec }) => (spec.sharedCounters ?? []).map((set) => [set.name, set.counters ?? {}])),
    ),
  };
}

/** Whether the node reaches the device. */
export function isReachable({ device, slice }: PoolDevice, node: Node): boolean {
  const { nodeName, nodeSelector, allNodes } = slice.spec.perDeviceNodeSelection ? device : slice.spec;
  if (nodeName) return nodeName === node.metadata.name;
  if (nodeSelector) return matchesNodeSelector(nodeSelector, node);
  return allNodes ?? false;
}
