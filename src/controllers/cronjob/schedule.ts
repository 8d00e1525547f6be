/** When a CronJob is due: the next time of a schedule, and what was missed (upstream `pkg/controller/cronjob/utils.go`). */
import { Cron } from 'croner';
import { type CronFields, type CronSchedule, parseCron } from '../../api/machinery/cron.js';

/** Times in ms since the epoch. */
export interface Schedule {
  /** The first time after `time`; undefined if there is none. */
  next(time: number): number | undefined;
}

/** Beyond this many missed runs a warning is due. */
const MANY = 100;

const list = (values: number[] | undefined): string => values?.join(',') ?? '*';

const pattern = ({ minutes, hours, daysOfMonth, months, daysOfWeek }: CronFields): string =>
  [list(minutes), list(hours), list(daysOfMonth), list(months), list(daysOfWeek)].join(' ');

/** The schedule of a text in a time zone; UTC when absent. Throws CronError. */
export function openSchedule(text: string, timeZone: string | undefined): Schedule {
  const parsed: CronSchedule = parseCron(text);
  if (parsed.type === 'every') {
    const ms = parsed.seconds * 1000;
    return { next: (time) => Math.floor(time / 1000) * 1000 + ms };
  }
  const zone = timeZone ?? parsed.timeZone ?? 'UTC';
  const cron = new Cron(pattern(parsed.fields), { timezone: zone, paused: true });
  const isDue = wallClockCheck(parsed.fields, zone);
  return {
    next(time) {
      // Where clocks are put forward, times that are left out are not made up for.
      for (let from = time; ; ) {
        const run = cron.nextRun(new Date(from))?.getTime();
        if (run === undefined || isDue(run)) return run;
        from = run;
      }
    },
  };
}

function wallClockCheck({ hours, minutes }: CronFields, timeZone: string): (time: number) => boolean {
  if (timeZone === 'UTC') return () => true;
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: 'numeric',
    minute: 'numeric',
    hourCycle: 'h23',
  });
  return (time) => {
    const parts = format.formatToParts(time);
    const value = (type: string) => Number(parts.find((part) => part.type === type)?.value);
    return hours.includes(value('hour')) && minutes.includes(value('minute'));
  };
}

export interface Due {
  /** The most recent time that has come and was not served; undefined when there is none. */
  time: number | undefined;
  /** Whether so many were missed that somebody should look at it. */
  manyMissed: boolean;
}

/** Throws Error for a schedule that is never due. */
export function mostRecentDue(schedule: Schedule, since: number, now: number): Due {
  const first = schedule.next(since);
  if (first === undefined || first > now) return { time: undefined, manyMissed: false };
  const second = schedule.next(first);
  if (second === undefined || second > now) return { time: first, manyMissed: false };
  const interval = second - first;
  if (interval < 1000) throw new Error('time difference between two schedules is less than 1 second');
  const missed = Math.floor((now - first) / interval) + 1;
  // Schedules are not even, so the last steps are taken one by one; and `@every` has to stay in step.
  let time = first;
  for (
    let next = schedule.next(first + (missed - 2) * interval);
    next !== undefined && next <= now;
    next = schedule.next(next)
  )
    time = next;
  return { time, manyMissed: missed > MANY };
}
