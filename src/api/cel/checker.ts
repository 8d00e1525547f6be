/** Types of an expression, as cel-go's checker finds them and in its words where they don't fit. */
import type { Call, Expr, Fold, ListExpr, MapExpr, Select, StructExpr } from './ast.js';
import type { Overload } from './declare.js';
import type { Issue } from './source.js';
import {
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  ERROR,
  formatType,
  INT,
  listOf,
  mapOf,
  NULL,
  optionalOf,
  paramOf,
  STRING,
  TIMESTAMP,
  type Type,
  typeOf,
  UINT,
} from './types.js';
import { assignAll, moreGeneral, resolve, type Substitution, sameType } from './unify.js';

/** What an expression can name. */
export interface Scope {
  variables: ReadonlyMap<string, Type>;
  functions: ReadonlyMap<string, readonly Overload[]>;
  /** Types that can be made as `Name{field: value}`; undefined if there is no such type. */
  struct(name: string): Type | undefined;
}

/** What names and calls stand for, by expression. */
export interface Checked {
  type: Type;
  types: ReadonlyMap<number, Type>;
  /** Variables; also selects that are one variable's dotted name. */
  names: ReadonlyMap<number, string>;
  overloads: ReadonlyMap<number, readonly Overload[]>;
  /** Calls whose target is part of the function's name. */
  qualified: ReadonlySet<number>;
}

export const TYPE_NAMES: ReadonlyMap<string, Type> = new Map<string, Type>([
  ['bool', BOOL],
  ['bytes', BYTES],
  ['double', DOUBLE],
  ['int', INT],
  ['uint', UINT],
  ['string', STRING],
  ['null_type', NULL],
  ['list', listOf(DYN)],
  ['map', mapOf(DYN, DYN)],
  ['dyn', DYN],
  ['type', typeOf(DYN)],
  ['optional_type', optionalOf(DYN)],
  ['google.protobuf.Timestamp', TIMESTAMP],
  ['google.protobuf.Duration', DURATION],
]);

/** Checks the tree; issues are added to `issues`. */
export function check(expr: Expr, scope: Scope, issues: Issue[]): Checked {
  const checker = new Checker(scope, issues);
  checker.check(expr);
  return checker.result(expr);
}

class Checker {
  readonly #types = new Map<number, Type>();
  readonly #names = new Map<number, string>();
  readonly #overloads = new Map<number, readonly Overload[]>();
  readonly #qualified = new Set<number>();
  readonly #locals: Map<string, Type>[] = [];
  #subst: Substitution = new Map();
  #params = 0;
  /** Within the arguments of `format`, whose lists hold what they like. */
  #mixed = false;

  constructor(
    private readonly scope: Scope,
    private readonly issues: Issue[],
  ) {}

  result(expr: Expr): Checked {
    const types = new Map([...this.#types].map(([id, type]) => [id, resolve(this.#subst, type, true)]));
    return {
      type: types.get(expr.id)!,
      types,
      names: this.#names,
      overloads: this.#overloads,
      qualified: this.#qualified,
    };
  }

  check(expr: Expr): Type {
    const type = this.#typeOf(expr);
    this.#types.set(expr.id, type);
    return resolve(this.#subst, type);
  }

  #typeOf(expr: Expr): Type {
    switch (expr.kind) {
      case 'const':
        return expr.type;
      case 'ident':
        return this.#name(expr.id, expr.name) ?? this.#undeclared(expr.pos, expr.name);
      case 'select':
        return this.#select(expr);
      case 'call':
        return this.#call(expr);
      case 'list':
        return this.#list(expr);
      case 'map':
        return this.#map(expr);
      case 'struct':
        return this.#struct(expr);
      case 'fold':
        return this.#fold(expr);
    }
  }

  #report(pos: number, message: string): Type {
    this.issues.push({ pos, message });
    return ERROR;
  }

  #undeclared(pos: number, name: string): Type {
    return this.#report(pos, `undeclared reference to '${name.replace(/^\./, '')}' (in container '')`);
  }

  #name(id: number, name: string): Type | undefined {
    const bare = name.replace(/^\./, '');
    const local = bare === name ? this.#local(bare) : undefined;
    const type = local ?? this.scope.variables.get(bare) ?? this.#typeName(bare);
    if (type) this.#names.set(id, bare);
    return type;
  }

  #typeName(name: string): Type | undefined {
    const named = TYPE_NAMES.get(name);
    return named && typeOf(named);
  }

  #local(name: string): Type | undefined {
    for (let i = this.#locals.length - 1; i >= 0; i--) {
      const type = this.#locals[i]!.get(name);
      if (type) return type;
    }
    return undefined;
  }

  #select(expr: Select): Type {
    const dotted = expr.test ? undefined : dottedName(expr);
    if (dotted && !this.#local(dotted.split('.')[0]!)) {
      const type = this.#name(expr.id, dotted);
      if (type) return type;
    }
    const type = this.#field(expr, this.check(expr.operand), expr.field);
    return expr.test ? BOOL : type;
  }

  #field({ pos }: Expr, of: Type, field: string): Type {
    switch (of.kind) {
      case 'optional': {
        const inner = this.#field({ pos } as Expr, resolve(this.#subst, of.params[0]!), field);
        return inner.kind === 'optional' ? inner : optionalOf(inner);
      }
      case 'dyn':
      case 'param':
        return DYN;
      case 'error':
        return ERROR;
      case 'map':
        return of.params[1]!;
      case 'object': {
        const found = of.fields?.get(field);
        return found ? found.type : this.#report(pos, `undefined field '${field}'`);
      }
      default:
        return this.#report(pos, `type '${formatType(of)}' does not support field selection`);
    }
  }

  #call(expr: Call): Type {
    if (expr.fn === '_?._') return this.#optionalField(expr);
    const { target } = expr;
    const dotted = target && dottedName(target);
    const qualified = dotted && `${dotted}.${expr.fn}`;
    if (
      qualified &&
      !this.#local(dotted.split('.')[0]!) &&
      this.scope.functions.get(qualified)?.some((f) => !f.method)
    ) {
      this.#qualified.add(expr.id);
      return this.#resolveCall(
        expr,
        qualified,
        undefined,
        expr.args.map((arg) => this.check(arg)),
      );
    }
    const name = expr.fn.replace(/^\./, '');
    const receiver = target && this.check(target);
    const mixed = this.#mixed;
    this.#mixed ||= name === 'format' && receiver !== undefined;
    const args = expr.args.map((arg) => this.check(arg));
    this.#mixed = mixed;
    if (!this.scope.functions.has(name)) return this.#undeclared(expr.pos, name);
    return this.#resolveCall(expr, name, receiver, args);
  }

  #optionalField(expr: Call): Type {
    const [operand, name] = expr.args;
    const of = this.check(operand!);
    const field = name!.kind === 'const' ? String(name!.value) : '';
    this.#types.set(name!.id, STRING);
    const type = this.#field(expr, of, field);
    return type.kind === 'optional' ? type : optionalOf(type);
  }

  #resolveCall(expr: Call, name: string, receiver: Type | undefined, args: Type[]): Type {
    const given = receiver ? [receiver, ...args] : args;
    const candidates: Overload[] = [];
    let result: Type | undefined;
    for (const overload of this.scope.functions.get(name) ?? []) {
      if (overload.method !== (receiver !== undefined)) continue;
      const fresh: Substitution = new Map();
      const params = overload.params.map((param) => this.#freshen(param, fresh));
      const subst = assignAll(this.#subst, given, params);
      if (!subst) continue;
      this.#subst = subst;
      candidates.push(overload);
      const type = resolve(subst, this.#freshen(overload.result, fresh));
      if (result === undefined) result = type;
      else if (!sameType(result, type)) result = DYN;
    }
    this.#overloads.set(expr.id, candidates);
    if (result) return result;
    const shown = args.map((arg) => formatType(resolve(this.#subst, arg, true))).join(', ');
    const on = receiver ? `${formatType(resolve(this.#subst, receiver, true))}.` : '';
    return this.#report(expr.pos, `found no matching overload for '${name}' applied to '${on}(${shown})'`);
  }

  /** The declaration's type parameters as new ones of this call. */
  #freshen(type: Type, fresh: Substitution): Type {
    if (type.kind === 'param') {
      const known = fresh.get(type.name) ?? this.#newParam();
      fresh.set(type.name, known);
      return known;
    }
    if (type.params.length === 0) return type;
    return { ...type, params: type.params.map((param) => this.#freshen(param, fresh)) };
  }

  #newParam(): Type {
    return paramOf(`_var${this.#params++}`);
  }

  #list({ elements, optional }: ListExpr): Type {
    let joined: Type | undefined;
    elements.forEach((element, i) => {
      joined = this.#join(element, joined, this.#element(element, optional.has(i)));
    });
    return listOf(joined ?? this.#newParam());
  }

  #element(expr: Expr, optional: boolean): Type {
    const type = this.check(expr);
    if (!optional) return type;
    if (type.kind === 'optional') return resolve(this.#subst, type.params[0]!);
    if (type.kind === 'dyn' || type.kind === 'error') return type;
    return this.#report(
      expr.pos,
      `expected type 'optional_type(${formatType(type)})' but found '${formatType(type)}'`,
    );
  }

  #join(expr: Expr, previous: Type | undefined, current: Type): Type {
    if (!previous) return current;
    if (this.#fits(current, previous)) return moreGeneral(previous, current);
    if (this.#mixed) return DYN;
    const [wanted, found] = [previous, current].map((type) => formatType(resolve(this.#subst, type, true)));
    this.#report(expr.pos, `expected type '${wanted}' but found '${found}'`);
    return ERROR;
  }

  #fits(from: Type, to: Type): boolean {
    const subst = assignAll(this.#subst, [from], [to]);
    if (subst) this.#subst = subst;
    return subst !== undefined;
  }

  #map({ entries }: MapExpr): Type {
    let key: Type | undefined;
    let value: Type | undefined;
    for (const entry of entries) {
      key = this.#join(entry.key, key, this.check(entry.key));
      value = this.#join(entry.value, value, this.#element(entry.value, entry.optional));
    }
    return mapOf(key ?? this.#newParam(), value ?? this.#newParam());
  }

  #struct(expr: StructExpr): Type {
    const type = this.scope.struct(expr.name.replace(/^\./, ''));
    if (!type) this.#undeclared(expr.pos, expr.name);
    for (const { field, value, optional, pos } of expr.entries) {
      const given = this.#element(value, optional);
      const wanted = type?.fields?.get(field)?.type;
      if (!type) continue;
      if (!wanted) this.#report(pos, `undefined field '${field}'`);
      else if (!this.#fits(given, wanted))
        this.#report(
          pos,
          `expected type of field '${field}' is '${formatType(wanted)}' but provided type is '${formatType(given)}'`,
        );
    }
    return type ?? ERROR;
  }

  #fold(expr: Fold): Type {
    const range = this.check(expr.range);
    const accumulator = this.check(expr.init);
    const [first, second] = this.#iterated(expr, range);
    const variables = new Map([[expr.first, expr.second === undefined ? first : this.#index(range, first)]]);
    if (expr.second !== undefined) variables.set(expr.second, second);
    this.#locals.push(new Map([[expr.accumulator, accumulator]]), variables);
    this.#expect(expr.condition, BOOL);
    this.#expect(expr.step, accumulator);
    this.#locals.pop();
    const result = this.check(expr.result);
    this.#locals.pop();
    return result;
  }

  #index(range: Type, first: Type): Type {
    return range.kind === 'list' ? INT : first;
  }

  /** What one variable gets, and the second of two. */
  #iterated({ range: { pos } }: Fold, range: Type): [Type, Type] {
    switch (range.kind) {
      case 'list':
        return [range.params[0]!, range.params[0]!];
      case 'map':
        return [range.params[0]!, range.params[1]!];
      case 'dyn':
      case 'error':
      case 'param':
        return [DYN, DYN];
      default: {
        const message = `expression of type '${formatType(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`;
        return [this.#report(pos, message), ERROR];
      }
    }
  }

  #expect(expr: Expr, wanted: Type): void {
    const type = this.check(expr);
    if (this.#fits(type, wanted)) return;
    const [want, found] = [wanted, type].map((each) => formatType(resolve(this.#subst, each, true)));
    this.#report(expr.pos, `expected type '${want}' but found '${found}'`);
  }
}

/** `a.b.c` of plain selects on a name. */
export function dottedName(expr: Expr): string | undefined {
  if (expr.kind === 'ident') return expr.name.replace(/^\./, '');
  if (expr.kind !== 'select' || expr.test) return undefined;
  const operand = dottedName(expr.operand);
  return operand && `${operand}.${expr.field}`;
}
