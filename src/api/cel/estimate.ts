/** How much an expression may cost at most, by the sizes that its types allow (cel-go's checker cost). */
import type { Call, Expr, Fold } from './ast.js';
import type { Program } from './env.js';
import { Sized, traverse } from './library/costs.js';
import type { Type } from './types.js';
import { sizeOf } from './values.js';

/** Costs beyond this are as good as endless. */
const ENDLESS = 2 ** 64;

const capped = (cost: number): number => Math.min(Number.isNaN(cost) ? ENDLESS : cost, ENDLESS);

/** The highest cost of one evaluation. */
export function estimateCost({ ast, checked }: Program): number {
  return new Estimator(checked).cost(ast);
}

class Estimator {
  /** What the variables of folds stand for; undefined where that is not part of a variable's declared type. */
  readonly #scope = new Map<string, Type | undefined>();

  constructor(private readonly checked: Program['checked']) {}

  cost(expr: Expr): number {
    switch (expr.kind) {
      case 'const':
        return 0;
      case 'ident':
        return 1;
      case 'select':
        return this.checked.names.has(expr.id)
          ? 1
          : this.cost(expr.operand) + (expr.test || this.#dynamic(expr.operand) ? 0 : 1);
      case 'list':
        return this.#sum(expr.elements) + 10;
      case 'map':
        return this.#sum(expr.entries.flatMap(({ key, value }) => [key, value])) + 30;
      case 'struct':
        return this.#sum(expr.entries.map(({ value }) => value)) + 40;
      case 'call':
        return this.#call(expr);
      case 'fold':
        return this.#fold(expr);
    }
  }

  #dynamic({ id }: Expr): boolean {
    return this.checked.types.get(id)?.kind === 'dyn';
  }

  #sum(all: readonly Expr[]): number {
    return all.reduce((sum, each) => capped(sum + this.cost(each)), 0);
  }

  #args({ id, target, args }: Call): Expr[] {
    return target && !this.checked.qualified.has(id) ? [target, ...args] : args;
  }

  #call(expr: Call): number {
    const args = this.#args(expr);
    if (expr.fn === '_?_:_')
      return capped(this.cost(args[0]!) + Math.max(this.cost(args[1]!), this.cost(args[2]!)));
    const inner = this.#sum(args);
    if (expr.fn === '_&&_' || expr.fn === '_||_') return inner;
    const overloads = this.checked.overloads.get(expr.id) ?? [];
    const sized = args.map((arg) => this.#sized(arg));
    const result = this.#sized(expr);
    const own = overloads.map(({ cost }) => cost?.(sized, result) ?? 1);
    return capped(inner + (own.length > 0 ? Math.max(...own) : 1));
  }

  #fold({ range, first, second, accumulator, init, condition, step, result }: Fold): number {
    const outside = capped(this.cost(range) + this.cost(init));
    const declared = this.#declared(range);
    const [key, value] = declared?.kind === 'map' ? declared.params : [undefined, declared?.params[0]];
    const scope: [string, Type | undefined][] =
      second === undefined
        ? [[first, key ?? value]]
        : [
            [first, key],
            [second, value],
          ];
    const each = this.#within([...scope, [accumulator, undefined]], () =>
      capped(this.cost(condition) + this.cost(step)),
    );
    const after = this.#within([[accumulator, undefined]], () => this.cost(result));
    return capped(outside + this.size(range) * each + after);
  }

  #within(scope: [string, Type | undefined][], estimate: () => number): number {
    const outer = new Map(this.#scope);
    for (const [name, type] of scope) this.#scope.set(name, type);
    const cost = estimate();
    for (const [name] of scope) {
      if (outer.has(name)) this.#scope.set(name, outer.get(name));
      else this.#scope.delete(name);
    }
    return cost;
  }

  /** The type by which a value is declared: that of a variable, or of what is reached from one. */
  #declared(expr: Expr): Type | undefined {
    if (expr.kind === 'ident' && this.#scope.has(expr.name)) return this.#scope.get(expr.name);
    if (expr.kind === 'ident' || (expr.kind === 'select' && this.checked.names.has(expr.id)))
      return this.checked.types.get(expr.id);
    if (expr.kind === 'select' && !expr.test)
      return this.#declared(expr.operand)?.fields?.get(expr.field)?.type;
    if (expr.kind !== 'call' || expr.fn !== '_[_]') return undefined;
    const of = this.#declared(this.#args(expr)[0]!);
    return of?.kind === 'list' || of?.kind === 'map' ? of.params.at(-1) : undefined;
  }

  #sized(expr: Expr): Sized {
    const size = this.size(expr);
    const type = this.checked.types.get(expr.id);
    const element = type?.kind === 'list' ? type.params[0]! : undefined;
    const long = element?.kind === 'string' || element?.kind === 'bytes';
    const each = long ? 1 + traverse(sizeOfType(element)) : 1;
    return new Sized(size, capped(type?.kind === 'list' ? size * each : traverse(size)));
  }

  /** The most characters, bytes, elements or entries that the value can have. */
  size(expr: Expr): number {
    const declared = this.#declared(expr);
    // Numbers, objects and the keys of maps count for nothing there.
    if (declared) return declared.maxSize ?? 0;
    switch (expr.kind) {
      case 'const':
        return sizeOf(expr.value);
      case 'list':
        return expr.elements.length;
      case 'map':
        return expr.entries.length;
      case 'call':
        return this.#callSize(expr);
      case 'fold':
        return expr.init.kind === 'list' || expr.init.kind === 'map' ? this.size(expr.range) : 1;
      default:
        return sizeOfType(this.checked.types.get(expr.id));
    }
  }

  #callSize(expr: Call): number {
    const args = this.#args(expr);
    const type = this.checked.types.get(expr.id);
    if (type && FIXED.has(type.kind)) return 1;
    const sizes = args.map((arg) => this.size(arg));
    const [first = 1, second = 0, third = 0] = sizes;
    switch (expr.fn) {
      case '_+_':
        return capped(first + second);
      case '_?_:_':
        return Math.max(second, third);
      case 'replace':
        return capped((first + 1) * third + first);
      case 'join': {
        const list = this.checked.types.get(args[0]!.id);
        return capped(first * (sizeOfType(list?.params[0]) + second));
      }
      case 'lowerAscii':
      case 'upperAscii':
      case 'substring':
      case 'trim':
      case 'split':
      case 'find':
      case 'findAll':
      case 'dyn':
        return first;
      default:
        return sizeOfType(type);
    }
  }
}

const FIXED = new Set(['bool', 'int', 'uint', 'double', 'null', 'timestamp', 'duration', 'type']);

function sizeOfType(type: Type | undefined): number {
  if (!type || FIXED.has(type.kind)) return 1;
  if (type.maxSize !== undefined) return type.maxSize;
  return ['string', 'bytes', 'list', 'map', 'dyn'].includes(type.kind) ? ENDLESS : 1;
}
