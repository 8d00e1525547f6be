/** How functions are declared: a signature, what it does, and what a call costs. */
import { parseType, splitTop, type Type } from './types.js';
import type { Value } from './values.js';

/** What a call costs, from its arguments (the receiver first) and its result. */
export type CallCost = (args: Value[], result: Value) => number;

export interface Overload {
  name: string;
  /** Called as `a.f(b)`; the receiver is the first of `params`. */
  method: boolean;
  params: Type[];
  result: Type;
  call(...args: any[]): Value;
  cost?: CallCost;
}

function declare(
  name: string,
  params: string[],
  result: string,
  call: Overload['call'],
  method: boolean,
  cost?: CallCost,
): Overload {
  return {
    name,
    method,
    params: params.map(parseType),
    result: parseType(result),
    call,
    ...(cost && { cost }),
  };
}

const SIGNATURE = /^(\S+?)\((.*)\): (.+)$/;

/** `func('size(list<T>): int', …)`. */
export function func(signature: string, call: Overload['call'], cost?: CallCost): Overload {
  const [, name, params, result] = SIGNATURE.exec(signature)!;
  return declare(name!, splitTop(params!), result!, call, false, cost);
}

/** `method('string', 'startsWith(string): bool', …)`: called on a value of the type. */
export function method(
  receiver: string,
  signature: string,
  call: Overload['call'],
  cost?: CallCost,
): Overload {
  const [, name, params, result] = SIGNATURE.exec(signature)!;
  return declare(name!, [receiver, ...splitTop(params!)], result!, call, true, cost);
}
