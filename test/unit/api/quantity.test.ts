/** Quantities: canonical forms, errors, arithmetic. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityMilli,
  quantityValue,
  subtractQuantities,
} from '../../../src/api/machinery/quantity.js';

describe('quantity', () => {
  const canonical: [string | number, string][] = [
    ['0', '0'],
    ['0Gi', '0'],
    ['-0', '0'],
    ['+5', '5'],
    ['007', '7'],
    ['1', '1'],
    [1.5, '1500m'],
    ['0.5', '500m'],
    ['.5', '500m'],
    ['1.', '1'],
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['100m', '100m'],
    ['1024Mi', '1Gi'],
    ['1.5Gi', '1536Mi'],
    ['0.5Ki', '512'],
    ['1023', '1023'],
    ['1023Ki', '1023Ki'],
    ['1024', '1024'],
    ['0.1Mi', '104857600m'],
    ['1000k', '1M'],
    ['1e3', '1e3'],
    ['1E3', '1e3'],
    ['12e2', '1200'],
    ['1e-3', '1e-3'],
    ['1E', '1E'],
    ['1u', '1u'],
    ['0.0001m', '100n'],
    ['0.1n', '1n'],
    ['-0.1n', '-1n'],
    ['1.0000000001', '1000000001n'],
    ['-1500m', '-1500m'],
    ['16Ei', '9223372036854775807'],
    ['9223372036854775807', '9223372036854775807'],
  ];
  for (const [text, expected] of canonical)
    it(`${text} is stored as ${expected}`, () => assert.equal(canonicalQuantity(text), expected));

  const WRONG_FORMAT =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  const wrong: [string, string][] = [
    ['', WRONG_FORMAT],
    ['abc', WRONG_FORMAT],
    ['1 Gi', WRONG_FORMAT],
    ['1.2.3', WRONG_FORMAT],
    ['1GiB', WRONG_FORMAT],
    ['1mi', "unable to parse quantity's suffix"],
    ['1kk', "unable to parse quantity's suffix"],
    ['1KK', "unable to parse quantity's suffix"],
    ['1K', "unable to parse quantity's suffix"],
    ['1e', "unable to parse quantity's suffix"],
  ];
  for (const [text, message] of wrong)
    it(`${JSON.stringify(text)} is no quantity`, () =>
      assert.throws(() => canonicalQuantity(text), { message }));

  it('rounds up to units and thousandths', () => {
    assert.equal(quantityValue('1500m'), 2);
    assert.equal(quantityValue('-1500m'), -1);
    assert.equal(quantityValue('1Gi'), 2 ** 30);
    assert.equal(quantityValue(7), 7);
    assert.equal(quantityValue(undefined), 0);
    assert.equal(quantityMilli('0.5'), 500);
    assert.equal(quantityMilli('1u'), 1);
    assert.equal(quantityMilli('2'), 2000);
  });

  it('adds and subtracts in the format of the first quantity that is not 0', () => {
    assert.equal(addQuantities('512Mi', '512Mi'), '1Gi');
    assert.equal(addQuantities('0', '1Ki', '1000'), '2024');
    assert.equal(addQuantities('1k', '1Ki'), '2024');
    assert.equal(addQuantities('250m', '750m', undefined), '1');
    assert.equal(subtractQuantities('1Gi', '512Mi'), '512Mi');
    assert.equal(subtractQuantities('1', '250m'), '750m');
  });

  it('compares across formats', () => {
    assert.equal(compareQuantities('1Gi', '1024Mi'), 0);
    assert.equal(compareQuantities('1G', '1Gi'), -1);
    assert.equal(compareQuantities('1', '999m'), 1);
    assert.equal(compareQuantities(undefined, '0'), 0);
  });

  it('keeps the value of any number and suffix through its canonical form', () => {
    const suffix = fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'e-2');
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.nat(999), suffix, (whole, fraction, unit) => {
        const quantity = parseQuantity(`${whole}.${fraction}${unit}`);
        const text = formatQuantity(quantity);
        assert.equal(parseQuantity(text).nano, quantity.nano);
        assert.equal(canonicalQuantity(text), text);
      }),
    );
  });
});
