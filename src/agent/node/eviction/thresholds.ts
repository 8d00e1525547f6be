/** Eviction thresholds: `memory.available<100Mi`, read from options and held against what there is (kubelet `eviction`). */
import { parseQuantity, quantityValue } from '../../../api/machinery/quantity.js';

export const SIGNALS = [
  'memory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  'imagefs.available',
  'imagefs.inodesFree',
  'pid.available',
] as const;
/** With what pods leave of the memory that they may have together, which nobody sets. */
export type Signal = (typeof SIGNALS)[number] | 'allocatableMemory.available';

/** What there is of a resource, and how much there could be: bytes, inodes or process ids. */
export interface Observation {
  available: number;
  capacity: number;
}
export type Observations = Partial<Record<Signal, Observation>>;

/** An amount, or a share of the capacity. */
export type Amount = { quantity: string } | { share: number };

export interface Threshold {
  signal: Signal;
  /** It is met below this. */
  value: Amount;
  /** Milliseconds that it must be met before pods go; 0: hard. */
  graceMs: number;
  /** What must be there on top before it counts as resolved. */
  minReclaim?: Amount;
}

export interface EvictionSettings {
  thresholds: Threshold[];
  /** How long a condition stays after its threshold was met last. */
  transitionMs: number;
  /** The longest grace of a pod that goes for a soft threshold. */
  maxPodGraceSeconds: number;
}

/** Upstream's defaults. */
export const DEFAULT_HARD =
  'memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%';
const DEFAULT_TRANSITION = '5m0s';

export const isMemory = (signal: Signal): boolean =>
  signal === 'memory.available' || signal === 'allocatableMemory.available';

export type Pressure = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

export const pressureOf = (signal: Signal): Pressure =>
  isMemory(signal) ? 'MemoryPressure' : signal === 'pid.available' ? 'PIDPressure' : 'DiskPressure';

/** What a pod would have to give back. */
export const resourceOf = (signal: Signal): string =>
  isMemory(signal)
    ? 'memory'
    : signal === 'pid.available'
      ? 'pids'
      : signal.endsWith('inodesFree')
        ? 'inodes'
        : 'ephemeral-storage';

export const amount = (value: Amount, capacity: number): number =>
  'share' in value ? Math.floor(capacity * value.share) : quantityValue(value.quantity);

export interface EvictionOptions {
  hard?: string;
  soft?: string;
  softGracePeriod?: string;
  minimumReclaim?: string;
  pressureTransitionPeriod?: string;
  maxPodGracePeriod?: number;
}

/** @throws Error that says which option is wrong, and how. */
export function evictionSettings(options: EvictionOptions = {}): EvictionSettings {
  const reclaim = pairs('eviction-minimum-reclaim', options.minimumReclaim, '=');
  const graces = pairs('eviction-soft-grace-period', options.softGracePeriod, '=');
  const soft = pairs('eviction-soft', options.soft, '<');
  const make = (option: string, [signal, text]: [Signal, string], graceMs: number): Threshold => {
    const least = reclaim.get(signal);
    return {
      ...{ signal, graceMs, value: parseAmount(option, signal, text) },
      ...(least === undefined ? {} : { minReclaim: parseAmount('eviction-minimum-reclaim', signal, least) }),
    };
  };
  const hard = pairs('eviction-hard', options.hard ?? DEFAULT_HARD, '<');
  // As upstream: 0 switches a threshold off.
  const isOn = ([, text]: [Signal, string]) => !/^0%?$|^100%$/.test(text);
  const atOnce = [...hard].filter(isOn).map((entry) => make('eviction-hard', entry, 0));
  const ofPods = atOnce.filter(({ signal }) => signal === 'memory.available');
  return {
    thresholds: [
      ...atOnce,
      ...[...soft].map((entry) => {
        const grace = graces.get(entry[0]);
        if (grace === undefined)
          throw new Error(`--eviction-soft-grace-period: grace period must be specified for ${entry[0]}`);
        return make('eviction-soft', entry, duration('eviction-soft-grace-period', grace));
      }),
      // What holds for the machine holds for what its pods may have, too.
      ...ofPods.map((threshold): Threshold => ({ ...threshold, signal: 'allocatableMemory.available' })),
    ],
    transitionMs: duration(
      'eviction-pressure-transition-period',
      options.pressureTransitionPeriod ?? DEFAULT_TRANSITION,
    ),
    maxPodGraceSeconds: options.maxPodGracePeriod ?? 0,
  };
}

function pairs(option: string, text: string | undefined, separator: string): Map<Signal, string> {
  const found = new Map<Signal, string>();
  for (const part of (text ?? '').split(',').filter(Boolean)) {
    const at = part.indexOf(separator);
    const signal = part.slice(0, at).trim() as Signal;
    if (at < 0) throw new Error(`--${option}: "${part}" is not of the form signal${separator}value`);
    if (!SIGNALS.some((known) => known === signal))
      throw new Error(`--${option}: unknown eviction signal ${signal}`);
    if (found.has(signal)) throw new Error(`--${option}: duplicate eviction threshold of ${signal}`);
    found.set(signal, part.slice(at + 1).trim());
  }
  return found;
}

function parseAmount(option: string, signal: Signal, text: string): Amount {
  if (text.endsWith('%')) {
    const percent = Number(text.slice(0, -1));
    if (!(percent >= 0 && percent <= 100))
      throw new Error(`--${option}: eviction percentage threshold ${signal} must be >= 0% and <= 100%`);
    return { share: percent / 100 };
  }
  try {
    if (parseQuantity(text).nano >= 0n) return { quantity: text };
  } catch {
    throw new Error(`--${option}: "${text}" of ${signal} is neither a quantity nor a percentage`);
  }
  throw new Error(`--${option}: eviction threshold ${signal} must be positive`);
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `1m30s` in milliseconds. */
export function duration(option: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (text === '0') return 0;
  if (parts.length === 0 || parts.map((p) => p[0]).join('') !== text)
    throw new Error(`--${option}: "${text}" is not a duration such as 1m30s`);
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit!]!, 0);
}
