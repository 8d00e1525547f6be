/** Kubernetes' list functions, sets, and regular expressions. */
import { func, method, type Overload } from '../declare.js';
import { compare, contains, equal } from '../equality.js';
import { CelError, noSuchOverload } from '../errors.js';
import { Duration, ListValue, Uint, type Value } from '../values.js';
import { elements, pairs, regex } from './costs.js';
import { int, uint } from './operators.js';
import { compilePattern } from './patterns.js';

const ORDERED = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes'];

function isSorted(list: ListValue): boolean {
  for (let i = 1; i < list.size; i++) if (compare(list.at(i - 1), list.at(i)) === 1) return false;
  return true;
}

function extreme(list: ListValue, name: string, order: number): Value {
  if (list.size === 0) throw new CelError(`${name} called on empty list`);
  let best = list.at(0);
  for (const item of list) if (compare(item, best) === order) best = item;
  return best;
}

/** Adds up; the first element tells what kind of number where the list's type does not. */
function sum(list: ListValue, empty: Value): Value {
  const [first = empty] = list;
  if (typeof first === 'number') return [...list].reduce((a: number, b) => a + (b as number), 0);
  if (first instanceof Uint)
    return [...list].reduce((a: Uint, b) => uint(a.value + (b as Uint).value), new Uint(0n));
  if (first instanceof Duration)
    return new Duration([...list].reduce((a: bigint, b) => int(a + (b as Duration).nanos), 0n));
  if (typeof first !== 'bigint') throw noSuchOverload();
  return [...list].reduce((a: bigint, b) => int(a + (b as bigint)), 0n);
}

const ZERO: Record<string, Value> = { int: 0n, uint: new Uint(0n), double: 0, duration: new Duration(0n) };

const sums = Object.entries(ZERO).map(([type, zero]) =>
  method(`list<${type}>`, `sum(): ${type}`, (list: ListValue) => sum(list, zero), elements),
);

function position(list: ListValue, item: Value, last: boolean): bigint {
  const items = [...list];
  const found = last
    ? items.findLastIndex((each) => equal(each, item))
    : items.findIndex((each) => equal(each, item));
  return BigInt(found);
}

export const lists: Overload[] = [
  ...ORDERED.flatMap((type) => [
    method(`list<${type}>`, 'isSorted(): bool', isSorted, elements),
    method(`list<${type}>`, `min(): ${type}`, (list: ListValue) => extreme(list, 'min', -1), elements),
    method(`list<${type}>`, `max(): ${type}`, (list: ListValue) => extreme(list, 'max', 1), elements),
  ]),
  ...sums,
  method(
    'list<T>',
    'indexOf(T): int',
    (list: ListValue, item: Value) => position(list, item, false),
    elements,
  ),
  method(
    'list<T>',
    'lastIndexOf(T): int',
    (list: ListValue, item: Value) => position(list, item, true),
    elements,
  ),
];

export const sets: Overload[] = [
  func(
    'sets.contains(list<T>, list<T>): bool',
    (a: ListValue, b: ListValue) => [...b].every((item) => contains(a, item)),
    pairs,
  ),
  func(
    'sets.intersects(list<T>, list<T>): bool',
    (a: ListValue, b: ListValue) => [...b].some((item) => contains(a, item)),
    pairs,
  ),
  func(
    'sets.equivalent(list<T>, list<T>): bool',
    (a: ListValue, b: ListValue) =>
      [...b].every((item) => contains(a, item)) && [...a].every((item) => contains(b, item)),
    pairs,
  ),
];

export const regexes: Overload[] = [
  method(
    'string',
    'find(string): string',
    (text: string, pattern: string) => compilePattern(pattern).findAll(text, 1)[0] ?? '',
    regex,
  ),
  method(
    'string',
    'findAll(string): list<string>',
    (text: string, pattern: string) => new ListValue(compilePattern(pattern).findAll(text, -1)),
    regex,
  ),
  method(
    'string',
    'findAll(string, int): list<string>',
    (text: string, pattern: string, limit: bigint) =>
      new ListValue(compilePattern(pattern).findAll(text, Number(limit))),
    regex,
  ),
];
