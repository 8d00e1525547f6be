/** Kubernetes' quantities in expressions: `quantity("1.5Gi").isGreaterThan(quantity("500Mi"))`. */
import { parseQuantity, type Quantity, QuantityError } from '../../machinery/quantity.js';
import { func, method, type Overload } from '../declare.js';
import { CelError } from '../errors.js';
import { objectOf } from '../types.js';
import { Opaque } from '../values.js';
import { once } from './costs.js';

const TYPE = objectOf('kubernetes.Quantity');
const Q = TYPE.name;
const NANO = 1_000_000_000n;
const INT64 = 2n ** 63n;

class QuantityValue extends Opaque {
  readonly type = TYPE;
  constructor(readonly quantity: Quantity) {
    super();
  }
  override equals(other: Opaque): boolean {
    return other instanceof QuantityValue && other.quantity.nano === this.quantity.nano;
  }
}

function parse(text: string): QuantityValue {
  try {
    return new QuantityValue(parseQuantity(text));
  } catch (error) {
    throw new CelError((error as Error).message);
  }
}

function isQuantity(text: string): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch (error) {
    if (error instanceof QuantityError) return false;
    throw error;
  }
}

const wholeOf = ({ quantity: { nano } }: QuantityValue): bigint | undefined => {
  const whole = nano / NANO;
  return nano % NANO === 0n && whole >= -INT64 && whole < INT64 ? whole : undefined;
};

function asInteger(value: QuantityValue): bigint {
  const whole = wholeOf(value);
  if (whole === undefined) throw new CelError('cannot convert value to integer');
  return whole;
}

const amount = (value: QuantityValue | bigint): bigint =>
  typeof value === 'bigint' ? value * NANO : value.quantity.nano;
const sum = (a: QuantityValue, nano: bigint) =>
  new QuantityValue({ ...a.quantity, nano: a.quantity.nano + nano });
const order = (a: QuantityValue, b: QuantityValue): bigint => {
  const difference = a.quantity.nano - b.quantity.nano;
  return difference < 0n ? -1n : difference > 0n ? 1n : 0n;
};
const cheap = () => 1;

export const quantities: Overload[] = [
  func(`quantity(string): ${Q}`, parse, once),
  func('isQuantity(string): bool', isQuantity, once),
  method(Q, 'sign(): int', (value: QuantityValue) => order(value, parse('0')), cheap),
  method(
    Q,
    'isGreaterThan(kubernetes.Quantity): bool',
    (a: QuantityValue, b: QuantityValue) => order(a, b) > 0n,
    cheap,
  ),
  method(
    Q,
    'isLessThan(kubernetes.Quantity): bool',
    (a: QuantityValue, b: QuantityValue) => order(a, b) < 0n,
    cheap,
  ),
  method(Q, 'compareTo(kubernetes.Quantity): int', order, cheap),
  method(Q, 'asInteger(): int', asInteger, cheap),
  method(Q, 'isInteger(): bool', (value: QuantityValue) => wholeOf(value) !== undefined, cheap),
  method(
    Q,
    'asApproximateFloat(): double',
    ({ quantity: { nano } }: QuantityValue) => Number(nano) / 1e9,
    cheap,
  ),
  ...['kubernetes.Quantity', 'int'].flatMap((other) => [
    method(
      Q,
      `add(${other}): ${Q}`,
      (a: QuantityValue, b: QuantityValue | bigint) => sum(a, amount(b)),
      cheap,
    ),
    method(
      Q,
      `sub(${other}): ${Q}`,
      (a: QuantityValue, b: QuantityValue | bigint) => sum(a, -amount(b)),
      cheap,
    ),
  ]),
];

export const QUANTITY = TYPE;

/** @throws CelError for what is no quantity. */
export const quantityValueOf = (text: string): Opaque => parse(text);
