/** Cron schedules in the form that Kubernetes takes them: five fields, or a word such as `@hourly` (robfig/cron `ParseStandard`). */
import { durationSeconds } from './duration.js';

/** When a schedule is due: sorted values per field; `undefined` where the field is a star, which restricts nothing. */
export interface CronFields {
  minutes: number[];
  hours: number[];
  daysOfMonth: number[] | undefined;
  months: number[];
  /** 0 is Sunday. */
  daysOfWeek: number[] | undefined;
}

export type CronSchedule =
  | { type: 'fields'; fields: CronFields; timeZone?: string }
  /** `@every 90s`: whole seconds. */
  | { type: 'every'; seconds: number; timeZone?: string };

/** A text that is no schedule. */
export class CronError extends Error {}

interface Bounds {
  min: number;
  max: number;
  names?: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const MINUTE: Bounds = { min: 0, max: 59 };
const HOUR: Bounds = { min: 0, max: 23 };
const DAY_OF_MONTH: Bounds = { min: 1, max: 31 };
const MONTH: Bounds = { min: 1, max: 12, names: MONTHS };
const DAY_OF_WEEK: Bounds = { min: 0, max: 6, names: DAYS };

const WORDS: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** Reads a schedule. Throws CronError in upstream's words. */
export function parseCron(text: string): CronSchedule {
  if (text.length === 0) throw new CronError('empty spec string');
  const zone = /^(?:CRON_)?TZ=(\S*)\s*(.*)$/s.exec(text);
  const spec = (zone ? zone[2]! : text).trim();
  const timeZone = zone?.[1] || undefined;
  if (timeZone !== undefined && !isTimeZone(timeZone))
    throw new CronError(`provided bad location ${timeZone}: unknown time zone ${timeZone}`);
  const rest = timeZone === undefined ? {} : { timeZone };
  if (spec.startsWith('@every ')) return { type: 'every', seconds: everySeconds(spec), ...rest };
  const word = spec.startsWith('@') ? WORDS[spec] : spec;
  if (word === undefined) throw new CronError(`unrecognized descriptor: ${spec}`);
  return { type: 'fields', fields: parseFields(word), ...rest };
}

/** Whether the machine knows an IANA time zone by this name. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return /^[A-Za-z]/.test(name);
  } catch {
    return false;
  }
}

function parseFields(spec: string): CronFields {
  const fields = spec.split(/\s+/).filter((field) => field !== '');
  if (fields.length !== 5)
    throw new CronError(`expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`);
  const [minute, hour, dayOfMonth, month, dayOfWeek] = fields as [string, string, string, string, string];
  return {
    minutes: parseField(minute, MINUTE).values,
    hours: parseField(hour, HOUR).values,
    daysOfMonth: unlessStar(parseField(dayOfMonth, DAY_OF_MONTH)),
    months: parseField(month, MONTH).values,
    daysOfWeek: unlessStar(parseField(dayOfWeek, DAY_OF_WEEK)),
  };
}

interface Field {
  values: number[];
  star: boolean;
}

const unlessStar = ({ values, star }: Field): number[] | undefined => (star ? undefined : values);

function parseField(text: string, bounds: Bounds): Field {
  const values = new Set<number>();
  let star = false;
  for (const part of text.split(',').filter((p) => p !== '')) {
    const range = parseRange(part, bounds);
    star ||= range.star;
    for (let value = range.from; value <= range.to; value += range.step) values.add(value);
  }
  return { values: [...values].sort((a, b) => a - b), star };
}

function parseRange(text: string, bounds: Bounds): { from: number; to: number; step: number; star: boolean } {
  const [range = '', stepText, ...moreSteps] = text.split('/');
  const [low = '', high, ...moreHyphens] = range.split('-');
  if (moreHyphens.length > 0) throw new CronError(`too many hyphens: ${text}`);
  if (moreSteps.length > 0) throw new CronError(`too many slashes: ${text}`);
  const isStar = low === '*' || low === '?';
  const from = isStar ? bounds.min : parseValue(low, bounds);
  let to = isStar ? bounds.max : high === undefined ? from : parseValue(high, bounds);
  const step = stepText === undefined ? 1 : parseInteger(stepText);
  // `5/15` means from 5 on.
  if (stepText !== undefined && high === undefined) to = bounds.max;
  if (from < bounds.min)
    throw new CronError(`beginning of range (${from}) below minimum (${bounds.min}): ${text}`);
  if (to > bounds.max) throw new CronError(`end of range (${to}) above maximum (${bounds.max}): ${text}`);
  if (from > to) throw new CronError(`beginning of range (${from}) beyond end of range (${to}): ${text}`);
  if (step === 0) throw new CronError(`step of range should be a positive number: ${text}`);
  return { from, to, step, star: isStar && step === 1 };
}

function parseValue(text: string, { min, names }: Bounds): number {
  const named = names?.indexOf(text.toLowerCase()) ?? -1;
  return named >= 0 ? named + min : parseInteger(text);
}

function parseInteger(text: string): number {
  if (!/^[+-]?\d{1,9}$/.test(text))
    throw new CronError(
      `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  const value = Number(text);
  if (value < 0) throw new CronError(`negative number (${value}) not allowed: ${text}`);
  return value;
}

/** The duration of `@every 1h30m`, at least a second, rounded down to whole seconds. */
function everySeconds(spec: string): number {
  const text = spec.slice('@every '.length);
  const seconds = text.startsWith('-') ? undefined : durationSeconds(text);
  if (seconds === undefined)
    throw new CronError(`failed to parse duration ${spec}: time: invalid duration ${JSON.stringify(text)}`);
  return Math.max(1, Math.floor(seconds));
}
