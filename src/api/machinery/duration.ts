/** Durations as Go writes them: `1h30m`, `500ms`. */

const UNIT_SECONDS: Record<string, number> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

const DURATION = /^([-+]?)(0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;

/** The seconds of a duration; undefined for what is none. */
export function durationSeconds(text: string): number | undefined {
  const [, sign, amounts] = DURATION.exec(text) ?? [];
  if (amounts === undefined) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of amounts.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g))
    seconds += Number(amount) * UNIT_SECONDS[unit!]!;
  return sign === '-' ? -seconds : seconds;
}
