/** Cron schedules as text. */
import assert from 'node:assert/strict';
import { parseCron } from '../../../src/api/machinery/cron.js';

describe('parseCron', () => {
  const fields = (text: string) => {
    const schedule = parseCron(text);
    assert.equal(schedule.type, 'fields');
    return schedule.type === 'fields' ? schedule.fields : assert.fail();
  };

  it('reads lists, ranges, steps and names', () => {
    assert.deepEqual(fields('*/20 8-10,22 1/10 jan,DEC mon-fri'), {
      minutes: [0, 20, 40],
      hours: [8, 9, 10, 22],
      daysOfMonth: [1, 11, 21, 31],
      months: [1, 12],
      daysOfWeek: [1, 2, 3, 4, 5],
    });
  });

  it('tells a star from a full list', () => {
    assert.equal(fields('0 0 * * *').daysOfMonth, undefined);
    assert.equal(fields('0 0 ? * 0-6').daysOfMonth, undefined);
    assert.equal(fields('0 0 ? * 0-6').daysOfWeek?.length, 7);
    assert.equal(fields('0 0 */2 * *').daysOfMonth?.length, 16);
  });

  it('reads words', () => {
    assert.deepEqual(parseCron('@hourly'), parseCron('0 * * * *'));
    assert.deepEqual(parseCron('@every 1h30m'), { type: 'every', seconds: 5400 });
    assert.deepEqual(parseCron('@every 10ms'), { type: 'every', seconds: 1 });
  });

  const wrong: [string, string][] = [
    ['', 'empty spec string'],
    ['* * * *', 'expected exactly 5 fields, found 4: [* * * *]'],
    ['60 * * * *', 'end of range (60) above maximum (59): 60'],
    ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
    ['* * * * 7', 'end of range (7) above maximum (6): 7'],
    ['5-3 * * * *', 'beginning of range (5) beyond end of range (3): 5-3'],
    ['*/0 * * * *', 'step of range should be a positive number: */0'],
    ['1-2-3 * * * *', 'too many hyphens: 1-2-3'],
    ['a * * * *', 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'],
    ['@fortnightly', 'unrecognized descriptor: @fortnightly'],
  ];
  for (const [text, message] of wrong)
    it(`refuses "${text}"`, () => assert.throws(() => parseCron(text), { message }));
});
