/** Timestamps (RFC 3339) and durations (`1h30m`) as text. */
import { CelError } from './errors.js';
import { Duration, Timestamp } from './values.js';

const SECOND = 1_000_000_000n;
const UNITS: Record<string, bigint> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: SECOND,
  m: 60n * SECOND,
  h: 3600n * SECOND,
};
const INT64_MAX = 2n ** 63n - 1n;

/** Reads RFC 3339; throws CelError. */
export function parseTimestamp(text: string): Timestamp {
  const match = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  const millis = match ? Date.parse(`${match[1]}T${match[2]}${match[4]!.toUpperCase()}`) : Number.NaN;
  if (Number.isNaN(millis))
    throw new CelError(
      `parsing time "${text}" as "2006-01-02T15:04:05Z07:00": cannot parse "${text}" as "2006"`,
    );
  const fraction = BigInt((match![3] ?? '').slice(0, 9).padEnd(9, '0'));
  return new Timestamp(BigInt(millis) * 1_000_000n + fraction);
}

export function timestampText({ nanos }: Timestamp): string {
  const second = floorDiv(nanos, SECOND);
  const rest = nanos - second * SECOND;
  const text = new Date(Number(second) * 1000).toISOString().slice(0, 19);
  const fraction = rest === 0n ? '' : `.${rest.toString().padStart(9, '0').replace(/0+$/, '')}`;
  return `${text}${fraction}Z`;
}

const floorDiv = (a: bigint, b: bigint): bigint => (a >= 0n ? a / b : -((-a + b - 1n) / b));

/** Reads what Go's `time.ParseDuration` reads; throws CelError. */
export function parseDuration(text: string): Duration {
  const match = /^([+-]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  if (!match) throw new CelError(`time: invalid duration "${text}"`);
  let total = 0n;
  for (const [, whole = '', fraction = '', unit] of match[2]!.matchAll(
    /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g,
  )) {
    const size = UNITS[unit!]!;
    total += BigInt(whole || '0') * size;
    if (fraction) total += (BigInt(fraction) * size) / 10n ** BigInt(fraction.length);
  }
  if (total > INT64_MAX) throw new CelError(`time: invalid duration "${text}"`);
  return new Duration(match[1] === '-' ? -total : total);
}

/** As CEL's `string(duration)` writes it: seconds. */
export function durationText({ nanos }: Duration): string {
  const magnitude = nanos < 0n ? -nanos : nanos;
  const fraction = (magnitude % SECOND).toString().padStart(9, '0').replace(/0+$/, '');
  return `${nanos < 0n ? '-' : ''}${magnitude / SECOND}${fraction && `.${fraction}`}s`;
}
