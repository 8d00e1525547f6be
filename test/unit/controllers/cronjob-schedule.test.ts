/** When schedules are due. */
import assert from 'node:assert/strict';
import { mostRecentDue, openSchedule } from '../../../src/controllers/cronjob/schedule.js';

describe('Schedules', () => {
  const times = (text: string, zone: string | undefined, from: string, count = 3): string[] => {
    const schedule = openSchedule(text, zone);
    const found: string[] = [];
    let time: number | undefined = Date.parse(from);
    for (let i = 0; i < count; i++) {
      time = schedule.next(time);
      if (time === undefined) break;
      found.push(new Date(time).toISOString().slice(0, 16));
    }
    return found;
  };

  const cases: [string, string | undefined, string, string[]][] = [
    [
      '*/20 * * * *',
      undefined,
      '2026-01-01T00:19:59Z',
      ['2026-01-01T00:20', '2026-01-01T00:40', '2026-01-01T01:00'],
    ],
    [
      '@hourly',
      'Asia/Kolkata',
      '2026-01-01T00:00:00Z',
      ['2026-01-01T00:30', '2026-01-01T01:30', '2026-01-01T02:30'],
    ],
    // Day of month or day of week, where both are given.
    [
      '0 0 13 * 5',
      undefined,
      '2026-01-03T00:00:00Z',
      ['2026-01-09T00:00', '2026-01-13T00:00', '2026-01-16T00:00'],
    ],
    // 02:30 does not exist on 8 March.
    [
      '30 2 * * *',
      'America/New_York',
      '2026-03-06T12:00:00Z',
      ['2026-03-07T07:30', '2026-03-09T06:30', '2026-03-10T06:30'],
    ],
    [
      '@every 90s',
      undefined,
      '2026-01-01T00:00:00Z',
      ['2026-01-01T00:01', '2026-01-01T00:03', '2026-01-01T00:04'],
    ],
    ['0 0 31 2 *', undefined, '2026-01-01T00:00:00Z', []],
  ];
  for (const [text, zone, from, expected] of cases)
    it(`${text} ${zone ?? ''}`, () => assert.deepEqual(times(text, zone, from), expected));

  const at = (text: string) => Date.parse(`2026-01-01T${text}Z`);
  const due = (schedule: string, since: string, now: string) => {
    const { time, manyMissed } = mostRecentDue(openSchedule(schedule, undefined), at(since), at(now));
    return [time && new Date(time).toISOString().slice(11, 19), manyMissed];
  };

  it('finds the most recent time that was missed', () => {
    assert.deepEqual(due('*/10 * * * *', '10:00:00', '10:09:59'), [undefined, false]);
    assert.deepEqual(due('*/10 * * * *', '10:00:00', '10:10:00'), ['10:10:00', false]);
    assert.deepEqual(due('*/10 * * * *', '10:00:00', '11:45:00'), ['11:40:00', false]);
    assert.deepEqual(due('30 6-16/4 * * *', '00:00:00', '13:00:00'), ['10:30:00', false]);
    assert.deepEqual(due('@every 1h', '00:15:00', '03:20:00'), ['03:15:00', false]);
  });

  it('tells when many were missed', () => {
    assert.deepEqual(due('* * * * *', '00:00:00', '01:41:30'), ['01:41:00', true]);
  });
});
