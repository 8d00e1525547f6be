/** The operators of CEL's standard definitions. */
import { func, type Overload } from '../declare.js';
import { compare, contains, equal, listKey } from '../equality.js';
import { CelError, noSuchOverload } from '../errors.js';
import { Duration, ListValue, type MapValue, sizeOf, Timestamp, Uint, type Value } from '../values.js';
import { both, shorter } from './costs.js';

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;
const UINT_MAX = 2n ** 64n - 1n;

export function int(value: bigint): bigint {
  if (value < INT_MIN || value > INT_MAX) throw new CelError('integer overflow');
  return value;
}

export function uint(value: bigint): Uint {
  if (value < 0n || value > UINT_MAX) throw new CelError('unsigned integer overflow');
  return new Uint(value);
}

function duration(nanos: bigint): Duration {
  if (nanos < INT_MIN || nanos > INT_MAX) throw new CelError('integer overflow');
  return new Duration(nanos);
}

function timestamp(nanos: bigint): Timestamp {
  const seconds = nanos / 1_000_000_000n;
  if (seconds < -62135596800n || seconds > 253402300799n) throw new CelError('timestamp overflow');
  return new Timestamp(nanos);
}

function nonZero(value: bigint, what: string): bigint {
  if (value === 0n) throw new CelError(`${what} by zero`);
  return value;
}

/** Lists joined; sets and map lists take in what is new, as x-kubernetes-list-type says. */
function concat(a: ListValue, b: ListValue): ListValue {
  const { type } = a.type?.listType ? a : b;
  if (type?.listType === 'set')
    return new ListValue([...a, ...[...b].filter((item) => !contains(a, item))], undefined, type);
  if (type?.listType !== 'map') return new ListValue([...a, ...b]);
  const merged = new Map([...a, ...b].map((item) => [listKey(item, type.listKeys ?? []), item]));
  return new ListValue([...merged.values()], undefined, type);
}

const ORDERED = ['bool', 'int', 'uint', 'double', 'string', 'bytes', 'timestamp', 'duration'];
const NUMBERS = ['int', 'uint', 'double'];

function relations(): Overload[] {
  const pairs = ORDERED.map((type) => [type, type]);
  for (const a of NUMBERS) for (const b of NUMBERS) if (a !== b) pairs.push([a, b]);
  const tests: [string, (order: number) => boolean][] = [
    ['<', (order) => order < 0],
    ['<=', (order) => order <= 0],
    ['>', (order) => order > 0],
    ['>=', (order) => order >= 0],
  ];
  return tests.flatMap(([operator, test]) =>
    pairs.map(([a, b]) => {
      const ordered = (left: Value, right: Value) => {
        const order = compare(left, right);
        return order !== undefined && test(order);
      };
      return func(
        `_${operator}_(${a}, ${b}): bool`,
        ordered,
        a === 'string' || a === 'bytes' ? shorter : undefined,
      );
    }),
  );
}

export const operators: Overload[] = [
  ...relations(),
  func('_==_(T, T): bool', equal, shorter),
  func('_!=_(T, T): bool', (a, b) => !equal(a, b), shorter),
  func('!_(bool): bool', (value: boolean) => !value),
  func('-_(int): int', (value: bigint) => int(-value)),
  func('-_(double): double', (value: number) => -value),
  func('_+_(int, int): int', (a: bigint, b: bigint) => int(a + b)),
  func('_+_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value + b.value)),
  func('_+_(double, double): double', (a: number, b: number) => a + b),
  func('_+_(string, string): string', (a: string, b: string) => a + b, both),
  func(
    '_+_(bytes, bytes): bytes',
    (a: Uint8Array, b: Uint8Array) => new Uint8Array(Buffer.concat([a, b])),
    both,
  ),
  func('_+_(list<T>, list<T>): list<T>', concat),
  func('_+_(timestamp, duration): timestamp', (a: Timestamp, b: Duration) => timestamp(a.nanos + b.nanos)),
  func('_+_(duration, timestamp): timestamp', (a: Duration, b: Timestamp) => timestamp(a.nanos + b.nanos)),
  func('_+_(duration, duration): duration', (a: Duration, b: Duration) => duration(a.nanos + b.nanos)),
  func('_-_(int, int): int', (a: bigint, b: bigint) => int(a - b)),
  func('_-_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value - b.value)),
  func('_-_(double, double): double', (a: number, b: number) => a - b),
  func('_-_(timestamp, timestamp): duration', (a: Timestamp, b: Timestamp) => duration(a.nanos - b.nanos)),
  func('_-_(timestamp, duration): timestamp', (a: Timestamp, b: Duration) => timestamp(a.nanos - b.nanos)),
  func('_-_(duration, duration): duration', (a: Duration, b: Duration) => duration(a.nanos - b.nanos)),
  func('_*_(int, int): int', (a: bigint, b: bigint) => int(a * b)),
  func('_*_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value * b.value)),
  func('_*_(double, double): double', (a: number, b: number) => a * b),
  func('_/_(int, int): int', (a: bigint, b: bigint) => int(a / nonZero(b, 'division'))),
  func('_/_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value / nonZero(b.value, 'division'))),
  func('_/_(double, double): double', (a: number, b: number) => a / b),
  func('_%_(int, int): int', (a: bigint, b: bigint) => a % nonZero(b, 'modulus')),
  func('_%_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value % nonZero(b.value, 'modulus'))),
  func('_?_:_(bool, T, T): T', noCall),
  func('_&&_(bool, bool): bool', noCall),
  func('_||_(bool, bool): bool', noCall),
  func('@not_strictly_false(bool): bool', noCall),
  func('_[_](list<T>, int): T', noCall),
  func('_[_](map<K, V>, K): V', noCall),
  func('_[_](optional<list<T>>, int): optional<T>', noCall),
  func('_[_](optional<map<K, V>>, K): optional<V>', noCall),
  func('_[?_](list<T>, int): optional<T>', noCall),
  func('_[?_](map<K, V>, K): optional<V>', noCall),
  func('_[?_](optional<list<T>>, int): optional<T>', noCall),
  func('_[?_](optional<map<K, V>>, K): optional<V>', noCall),
  func(
    '@in(T, list<T>): bool',
    (item: Value, list: ListValue) => contains(list, item),
    ([, list]) => sizeOf(list!),
  ),
  func('@in(K, map<K, V>): bool', (key: Value, map: MapValue) => map.has(key)),
];

/** The evaluator has these built in: their operands are not always evaluated. */
function noCall(): never {
  throw noSuchOverload();
}
