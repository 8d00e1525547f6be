/** Turns a checked expression into a function that evaluates it and counts what that costs. */

import { toJson } from './adapt.js';
import type { Call, Expr, Fold, ListExpr, MapExpr, Select, StructExpr } from './ast.js';
import type { Checked } from './checker.js';
import { TYPE_NAMES } from './checker.js';
import type { Overload } from './declare.js';
import { CelError, CostError, noSuchKey, noSuchOverload } from './errors.js';
import { fitsType } from './match.js';
import type { Type } from './types.js';
import {
  Entries,
  ListValue,
  MapValue,
  ObjectValue,
  Optional,
  TypeValue,
  typeOfValue,
  type Value,
} from './values.js';

/** One evaluation: its variables, and what it has cost so far. */
export interface Frame {
  variable(name: string): Value;
  locals: Map<string, Value>;
  cost: number;
  limit: number;
}

export type Step = (frame: Frame) => Value;

export function charge(frame: Frame, cost: number): void {
  frame.cost += cost;
  if (frame.cost > frame.limit) throw new CostError();
}

const LIST_COST = 10;
const MAP_COST = 30;
const STRUCT_COST = 40;

interface Plan {
  checked: Checked;
  struct(name: string): Type | undefined;
  locals: string[];
}

export function plan(expr: Expr, checked: Checked, struct: Plan['struct']): Step {
  return planExpr(expr, { checked, struct, locals: [] });
}

function planExpr(expr: Expr, p: Plan): Step {
  switch (expr.kind) {
    case 'const':
      return () => expr.value;
    case 'ident':
      return planName(p.checked.names.get(expr.id) ?? expr.name, p);
    case 'select':
      return planSelect(expr, p);
    case 'call':
      return planCall(expr, p);
    case 'list':
      return planList(expr, p);
    case 'map':
      return planMap(expr, p);
    case 'struct':
      return planStruct(expr, p);
    case 'fold':
      return planFold(expr, p);
  }
}

function planName(name: string, p: Plan): Step {
  if (p.locals.includes(name))
    return (frame) => {
      charge(frame, 1);
      return frame.locals.get(name)!;
    };
  const type = TYPE_NAMES.get(name);
  return (frame) => {
    charge(frame, 1);
    const value = frame.variable(name);
    if (value !== undefined) return value;
    if (type) return new TypeValue(type);
    throw new CelError(`no such attribute(s): ${name}`);
  };
}

function planSelect(expr: Select, p: Plan): Step {
  const name = p.checked.names.get(expr.id);
  if (name !== undefined) return planName(name, p);
  const operand = planExpr(expr.operand, p);
  const { field } = expr;
  if (expr.test) return (frame) => hasField(operand(frame), field);
  return (frame) => {
    const value = operand(frame);
    charge(frame, 1);
    return selectField(value, field);
  };
}

function hasField(value: Value, field: string): boolean {
  if (value instanceof Optional) return value.value !== undefined && hasField(value.value, field);
  return findField(value, field) !== undefined;
}

function findField(value: Value, field: string): Value | undefined {
  if (value instanceof MapValue) return value.find(field);
  throw noSuchOverload();
}

function selectField(value: Value, field: string): Value {
  if (value instanceof Optional)
    return value.value === undefined ? value : wrap(findField(value.value, field));
  const found = findField(value, field);
  if (found === undefined) throw noSuchKey(field);
  return found;
}

const wrap = (value: Value | undefined): Optional =>
  value === undefined ? Optional.none : value instanceof Optional ? value : new Optional(value);

function planCall(expr: Call, p: Plan): Step {
  const special = SPECIAL[expr.fn];
  if (special) return special(expr.args.map((arg) => planExpr(arg, p)));
  const parts = expr.target && !p.checked.qualified.has(expr.id) ? [expr.target, ...expr.args] : expr.args;
  const steps = parts.map((part) => planExpr(part, p));
  if (expr.append) return planAppend(steps);
  const overloads = p.checked.overloads.get(expr.id) ?? [];
  const only = overloads.length === 1 ? overloads[0] : undefined;
  return (frame) => {
    const args = steps.map((step) => step(frame));
    const overload = only && fitsAll(only, args) ? only : overloads.find((each) => fitsAll(each, args));
    if (!overload) throw noSuchOverload();
    const result = overload.call(...args);
    charge(frame, overload.cost ? overload.cost(args, result) : 1);
    return result;
  };
}

const fitsAll = ({ params }: Overload, args: Value[]): boolean =>
  args.every((arg, i) => fitsType(arg, params[i]!));

/** A fold's list is its own: it grows in place. */
function planAppend([list, items]: Step[]): Step {
  return (frame) => {
    const target = list!(frame) as ListValue;
    const added = items!(frame) as ListValue;
    (target.items as unknown[]).push(...added.items);
    charge(frame, 1);
    return target;
  };
}

const SPECIAL: Record<string, (args: Step[]) => Step> = {
  '_&&_': ([left, right]) => logical(left!, right!, false),
  '_||_': ([left, right]) => logical(left!, right!, true),
  '_?_:_':
    ([condition, yes, no]) =>
    (frame) => {
      const value = condition!(frame);
      if (typeof value !== 'boolean') throw noSuchOverload();
      return (value ? yes! : no!)(frame);
    },
  '@not_strictly_false':
    ([operand]) =>
    (frame) => {
      try {
        return operand!(frame) !== false;
      } catch (error) {
        if (error instanceof CelError) return true;
        throw error;
      }
    },
  '_?._': ([operand, field]) => optionalAccess(operand!, field!),
  '_[?_]': ([operand, key]) => optionalAccess(operand!, key!),
  '_[_]':
    ([operand, key]) =>
    (frame) => {
      const value = operand!(frame);
      const at = key!(frame);
      charge(frame, 1);
      if (value instanceof Optional) return value.value === undefined ? value : wrap(findAt(value.value, at));
      const found = findAt(value, at);
      if (found !== undefined) return found;
      throw value instanceof ListValue ? new CelError(`index out of bounds: ${String(at)}`) : noSuchKey(at);
    },
};

/** Either operand may decide alone, also when the other fails. */
function logical(left: Step, right: Step, decides: boolean): Step {
  return (frame) => {
    let failure: CelError | undefined;
    for (const operand of [left, right]) {
      try {
        const value = operand(frame);
        if (value === decides) return decides;
        if (typeof value !== 'boolean') failure ??= noSuchOverload();
      } catch (error) {
        if (!(error instanceof CelError)) throw error;
        failure ??= error;
      }
    }
    if (failure) throw failure;
    return !decides;
  };
}

function optionalAccess(operand: Step, key: Step): Step {
  return (frame) => {
    const value = operand(frame);
    const at = key(frame);
    charge(frame, 1);
    const of = value instanceof Optional ? value.value : value;
    return of === undefined || of === null ? Optional.none : wrap(findAt(of, at));
  };
}

function findAt(value: Value, key: Value): Value | undefined {
  if (value instanceof MapValue) return value.find(key);
  if (!(value instanceof ListValue)) throw noSuchOverload();
  const index = typeof key === 'bigint' || typeof key === 'number' ? Number(key) : Number.NaN;
  if (!Number.isInteger(index))
    throw new CelError(`unsupported index type '${typeOfValue(key).name}' in list`);
  return index >= 0 && index < value.size ? value.at(index) : undefined;
}

/** The value to put in; undefined where an optional one is empty. */
function element(value: Value, optional: boolean): Value | undefined {
  if (!optional) return value;
  if (!(value instanceof Optional))
    throw new CelError(`cannot initialize optional list element from non-optional value`);
  return value.value;
}

function planList({ elements, optional }: ListExpr, p: Plan): Step {
  const steps = elements.map((each) => planExpr(each, p));
  return (frame) => {
    const items: Value[] = [];
    steps.forEach((step, i) => {
      const item = element(step(frame), optional.has(i));
      if (item !== undefined) items.push(item);
    });
    charge(frame, LIST_COST);
    return new ListValue(items);
  };
}

function planMap({ entries }: MapExpr, p: Plan): Step {
  const steps = entries.map(({ key, value, optional }) => ({
    key: planExpr(key, p),
    value: planExpr(value, p),
    optional,
  }));
  return (frame) => {
    const map = new Entries();
    for (const { key, value, optional } of steps) {
      const at = key(frame);
      const item = element(value(frame), optional);
      if (item !== undefined) map.insert(at, item);
    }
    charge(frame, MAP_COST);
    return map;
  };
}

function planStruct({ name, entries }: StructExpr, p: Plan): Step {
  const type = p.struct(name.replace(/^\./, ''))!;
  const steps = entries.map((entry) => ({ ...entry, step: planExpr(entry.value, p) }));
  return (frame) => {
    const native: Record<string, unknown> = {};
    for (const { field, optional, step } of steps) {
      const item = element(step(frame), optional);
      if (item !== undefined) native[type.fields?.get(field)?.property ?? field] = toJson(item);
    }
    charge(frame, STRUCT_COST);
    return new ObjectValue(native, type);
  };
}

function planFold(expr: Fold, p: Plan): Step {
  const range = planExpr(expr.range, p);
  const init = planExpr(expr.init, p);
  const { first, second, accumulator } = expr;
  const outer = { ...p, locals: [...p.locals, accumulator] };
  const inner = { ...p, locals: [...outer.locals, first, ...(second === undefined ? [] : [second])] };
  const condition = planExpr(expr.condition, inner);
  const step = planExpr(expr.step, inner);
  const result = planExpr(expr.result, outer);
  const names = inner.locals.slice(p.locals.length);
  return (frame) => {
    const items = iterate(range(frame), second !== undefined);
    const { locals } = frame;
    const saved = names.map((name) => locals.get(name));
    try {
      return foldOver(items);
    } finally {
      names.forEach((name, i) => {
        locals.set(name, saved[i]!);
      });
    }

    function foldOver(source: Iterable<[Value, Value]>): Value {
      locals.set(accumulator, init(frame));
      let failure: CelError | undefined;
      for (const [a, b] of source) {
        locals.set(first, a);
        if (second !== undefined) locals.set(second, b);
        if (!failure && condition(frame) === false) break;
        failure = advance(failure);
      }
      if (failure) throw failure;
      return result(frame);
    }

    /** A failed element leaves `all` and `exists` open: a later one may decide. Other folds end with it. */
    function advance(failure: CelError | undefined): CelError | undefined {
      try {
        const value = step(frame);
        if (failure && expr.init.kind === 'const' && value === expr.init.value) return failure;
        locals.set(accumulator, value);
        return undefined;
      } catch (error) {
        if (
          !(error instanceof CelError) ||
          expr.init.kind !== 'const' ||
          typeof expr.init.value !== 'boolean'
        )
          throw error;
        return failure ?? error;
      }
    }
  };
}

function* iterate(range: Value, both: boolean): Iterable<[Value, Value]> {
  if (range instanceof ListValue) {
    for (let i = 0; i < range.size; i++) {
      const item = range.at(i);
      yield both ? [BigInt(i), item] : [item, null];
    }
    return;
  }
  if (!(range instanceof MapValue)) throw noSuchOverload();
  for (const key of range.keys()) yield [key, both ? range.find(key)! : null];
}
