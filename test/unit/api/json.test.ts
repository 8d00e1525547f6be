import assert from 'node:assert/strict';
import { toJson } from '../../../src/api/machinery/json.js';

describe('toJson', () => {
  it('escapes what Go escapes, and means the same', () => {
    const value = { '<a>': 'b & c\u2028', plain: 'é' };
    assert.equal(toJson(value), '{"\\u003ca\\u003e":"b \\u0026 c\\u2028","plain":"é"}');
    assert.deepEqual(JSON.parse(toJson(value)), value);
  });
});
