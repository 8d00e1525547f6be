/** Parts of timestamps and durations. */
import { method, type Overload } from '../declare.js';
import { CelError } from '../errors.js';
import type { Duration, Timestamp } from '../values.js';

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  weekday: number;
  yearDay: number;
}

const MINUTE = 60_000;

/** The calendar of a time zone: an IANA name, or an offset such as `+02:00`. */
function partsIn({ nanos }: Timestamp, zone: string): Parts {
  const millis = Number(nanos / 1_000_000n) - (nanos < 0n && nanos % 1_000_000n !== 0n ? 1 : 0);
  const date = new Date(millis + offsetOf(zone, millis));
  const start = Date.UTC(date.getUTCFullYear(), 0, 1);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth(),
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    weekday: date.getUTCDay(),
    yearDay: Math.floor((date.getTime() - start) / (1440 * MINUTE)),
  };
}

/** How far the zone is ahead of UTC at a time, in milliseconds. */
function offsetOf(zone: string, millis: number): number {
  const fixed = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (fixed) return (fixed[1] === '-' ? -1 : 1) * (Number(fixed[2]) * 60 + Number(fixed[3])) * MINUTE;
  if (zone === '' || zone === 'UTC') return 0;
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    const found = Object.fromEntries(
      format.formatToParts(millis).map(({ type, value }) => [type, Number(value)]),
    );
    const { year, month, day, hour, minute, second } = found as Record<string, number>;
    return Date.UTC(year!, month! - 1, day, hour, minute, second) - Math.floor(millis / 1000) * 1000;
  } catch {
    throw new CelError(`unknown time zone ${zone}`);
  }
}

const PARTS: [string, (parts: Parts) => number][] = [
  ['getFullYear', ({ year }) => year],
  ['getMonth', ({ month }) => month],
  ['getDayOfYear', ({ yearDay }) => yearDay],
  ['getDayOfMonth', ({ day }) => day - 1],
  ['getDate', ({ day }) => day],
  ['getDayOfWeek', ({ weekday }) => weekday],
  ['getHours', ({ hour }) => hour],
  ['getMinutes', ({ minute }) => minute],
  ['getSeconds', ({ second }) => second],
];

const SECOND = 1_000_000_000n;
const milliseconds = ({ nanos }: Timestamp): bigint => (((nanos % SECOND) + SECOND) % SECOND) / 1_000_000n;

export const times: Overload[] = [
  ...PARTS.flatMap(([name, part]) => [
    method('timestamp', `${name}(): int`, (at: Timestamp) => BigInt(part(partsIn(at, 'UTC')))),
    method('timestamp', `${name}(string): int`, (at: Timestamp, zone: string) =>
      BigInt(part(partsIn(at, zone))),
    ),
  ]),
  method('timestamp', 'getMilliseconds(): int', milliseconds),
  method('timestamp', 'getMilliseconds(string): int', milliseconds),
  method('duration', 'getHours(): int', ({ nanos }: Duration) => nanos / (3600n * SECOND)),
  method('duration', 'getMinutes(): int', ({ nanos }: Duration) => nanos / (60n * SECOND)),
  method('duration', 'getSeconds(): int', ({ nanos }: Duration) => nanos / SECOND),
  method('duration', 'getMilliseconds(): int', ({ nanos }: Duration) => (nanos / 1_000_000n) % 1000n),
];
