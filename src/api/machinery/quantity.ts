/**
 * Resource quantities such as `500m`, `1.5Gi` and `2e3` (apimachinery `resource.Quantity`).
 *
 * Values are exact: integers of nano units. What has more digits is rounded away from zero, as upstream does.
 */

export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

export interface Quantity {
  /** The value in nano units (10⁻⁹). */
  nano: bigint;
  /** The family of suffixes that the canonical form uses. */
  format: QuantityFormat;
}

/** A quantity as it stands in an object; absent means 0. */
export type QuantityInput = string | number | undefined;

/** A text that is no quantity; the message is upstream's. */
export class QuantityError extends Error {}

const WRONG_FORMAT =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX = "unable to parse quantity's suffix";
const WRONG_NUMBER = 'unable to parse numeric part of quantity';

const DECIMAL: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: Record<string, number> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const DECIMAL_SUFFIX = new Map(Object.entries(DECIMAL).map(([suffix, exponent]) => [exponent, suffix]));
const BINARY_SUFFIX = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

const NANO = 1_000_000_000n;
const MAX_BINARY = ((1n << 63n) - 1n) * NANO;
/** Exponents beyond this make numbers that no machine has use for. */
const MAX_EXPONENT = 300;

const SHAPE = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*(?:[-+]?[0-9]*))$/;

interface Suffix {
  base: 2 | 10;
  exponent: number;
  format: QuantityFormat;
}

function interpret(suffix: string): Suffix {
  const decimal = DECIMAL[suffix];
  if (decimal !== undefined) return { base: 10, exponent: decimal, format: 'DecimalSI' };
  const binary = BINARY[suffix];
  if (binary !== undefined) return { base: 2, exponent: binary, format: 'BinarySI' };
  if (/^[eE][-+]?[0-9]+$/.test(suffix)) {
    const exponent = Number(suffix.slice(1));
    if (exponent > MAX_EXPONENT) throw new QuantityError(WRONG_NUMBER);
    return { base: 10, exponent: Math.max(exponent, -MAX_EXPONENT), format: 'DecimalExponent' };
  }
  throw new QuantityError(WRONG_SUFFIX);
}

/** `digits × 10^power` in whole units, rounded up: `digits` is not negative. */
function scale(digits: bigint, power: number): bigint {
  if (power >= 0) return digits * 10n ** BigInt(power);
  const divisor = 10n ** BigInt(-power);
  return (digits + divisor - 1n) / divisor;
}

/** Parses a quantity; throws QuantityError. */
export function parseQuantity(text: string | number): Quantity {
  const match = SHAPE.exec(String(text));
  if (!match || text === '') throw new QuantityError(WRONG_FORMAT);
  const [, sign, whole = '', fraction = '', suffixText = ''] = match;
  const suffix = interpret(suffixText);
  if (whole === '' && fraction === '' && suffixText !== '') throw new QuantityError(WRONG_NUMBER);
  let digits = BigInt(`${whole}${fraction}` || '0');
  let { format } = suffix;
  if (suffix.base === 2) digits <<= BigInt(suffix.exponent);
  let nano = scale(digits, 9 - fraction.length + (suffix.base === 10 ? suffix.exponent : 0));
  if (format === 'BinarySI') {
    if (nano > MAX_BINARY) nano = MAX_BINARY;
    if (nano > 0n && nano < NANO) format = 'DecimalSI';
  }
  return { nano: sign === '-' ? -nano : nano, format };
}

/** The canonical form: the largest suffix that leaves an integer, `0` for nothing. */
export function formatQuantity({ nano, format }: Quantity): string {
  if (nano === 0n) return '0';
  const small = nano > -1024n * NANO && nano < 1024n * NANO;
  if (format === 'BinarySI' && !small && nano % NANO === 0n) return binaryForm(nano / NANO);
  let value = nano;
  let exponent = -9;
  const highest = format === 'DecimalExponent' ? MAX_EXPONENT : 18;
  while (exponent < highest && value % 1000n === 0n) {
    value /= 1000n;
    exponent += 3;
  }
  if (format !== 'DecimalExponent') return `${value}${DECIMAL_SUFFIX.get(exponent)}`;
  return exponent === 0 ? `${value}` : `${value}e${exponent}`;
}

function binaryForm(whole: bigint): string {
  let value = whole;
  let power = 0;
  while (power < 6 && value % 1024n === 0n) {
    value /= 1024n;
    power++;
  }
  return `${value}${BINARY_SUFFIX[power]}`;
}

/** What is known of a text; cluster objects repeat few of them. */
interface Known {
  quantity: Quantity;
  canonical: string;
}
const known = new Map<string, Known>();
const MAX_KNOWN = 4096;

function lookUp(text: string): Known {
  let entry = known.get(text);
  if (entry) return entry;
  const quantity = parseQuantity(text);
  entry = { quantity, canonical: formatQuantity(quantity) };
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(text, entry);
  return entry;
}

const quantityOf = (input: QuantityInput): Quantity =>
  input === undefined ? { nano: 0n, format: 'DecimalSI' } : lookUp(String(input)).quantity;

/** The canonical text of a quantity: `1000m` is `1`, `1024Mi` is `1Gi`. Throws QuantityError. */
export function canonicalQuantity(input: string | number): string {
  return lookUp(String(input)).canonical;
}

function roundUp(nano: bigint, unit: bigint): number {
  const quotient = nano / unit;
  return Number(nano % unit > 0n ? quotient + 1n : quotient);
}

/** In whole units, rounded up: bytes of memory, counts. */
export function quantityValue(input: QuantityInput): number {
  return typeof input === 'number' && Number.isInteger(input) ? input : roundUp(quantityOf(input).nano, NANO);
}

/** In thousandths, rounded up: millicores. */
export function quantityMilli(input: QuantityInput): number {
  return roundUp(quantityOf(input).nano, 1_000_000n);
}

/** The sum in canonical form; its format is that of the first quantity that is not 0. */
export function addQuantities(...inputs: QuantityInput[]): string {
  let nano = 0n;
  let format: QuantityFormat | undefined;
  for (const input of inputs) {
    const quantity = quantityOf(input);
    nano += quantity.nano;
    if (quantity.nano !== 0n) format ??= quantity.format;
  }
  return formatQuantity({ nano, format: format ?? 'DecimalSI' });
}

/** `a − b` in canonical form. */
export function subtractQuantities(a: QuantityInput, b: QuantityInput): string {
  const [left, right] = [quantityOf(a), quantityOf(b)];
  return formatQuantity({
    nano: left.nano - right.nano,
    format: left.nano === 0n ? right.format : left.format,
  });
}

/** Negative, 0 or positive, for sorting and limits. */
export function compareQuantities(a: QuantityInput, b: QuantityInput): -1 | 0 | 1 {
  const [left, right] = [quantityOf(a).nano, quantityOf(b).nano];
  return left < right ? -1 : left > right ? 1 : 0;
}
