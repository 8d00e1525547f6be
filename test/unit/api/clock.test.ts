import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { systemClock } from '../../../src/api/machinery/clock.js';

describe('systemClock', () => {
  for (const ms of [2 ** 31, Number.POSITIVE_INFINITY])
    it(`waits for ${ms} ms, which are more than a timer takes`, async () => {
      let fired = false;
      const cancel = systemClock.after(ms, () => {
        fired = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 20));
      cancel();
      assert.equal(fired, false);
    });
});
