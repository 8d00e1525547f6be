/** The expression tree, macros expanded. */
import type { Type } from './types.js';
import type { Value } from './values.js';

interface Base {
  id: number;
  /** Where it is in the source. */
  pos: number;
}

export interface Const extends Base {
  kind: 'const';
  value: Value;
  type: Type;
}
export interface Ident extends Base {
  kind: 'ident';
  name: string;
}
export interface Select extends Base {
  kind: 'select';
  operand: Expr;
  field: string;
  /** Asks whether the field is there: `has(a.b)`. */
  test: boolean;
}
export interface Call extends Base {
  kind: 'call';
  fn: string;
  target?: Expr;
  args: Expr[];
  /** Adds to the accumulator of a fold in place. */
  append?: boolean;
}
export interface ListExpr extends Base {
  kind: 'list';
  elements: Expr[];
  optional: Set<number>;
}
export interface Entry {
  key: Expr;
  value: Expr;
  optional: boolean;
  pos: number;
}
export interface MapExpr extends Base {
  kind: 'map';
  entries: Entry[];
}
export interface StructExpr extends Base {
  kind: 'struct';
  name: string;
  entries: { field: string; value: Expr; optional: boolean; pos: number }[];
}
/** A comprehension: what `all`, `exists`, `map`, `filter` and their kind come down to. */
export interface Fold extends Base {
  kind: 'fold';
  range: Expr;
  /** The element of a list or key of a map; with two variables the index or key. */
  first: string;
  second?: string;
  accumulator: string;
  init: Expr;
  condition: Expr;
  step: Expr;
  result: Expr;
}

export type Expr = Const | Ident | Select | Call | ListExpr | MapExpr | StructExpr | Fold;
