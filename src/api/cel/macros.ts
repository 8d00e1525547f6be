/** What a parser expands: `has`, and the folds over lists and maps with one variable or two. */
import type { Call, Expr, Fold, Ident } from './ast.js';
import { BOOL, INT } from './types.js';
import type { Value } from './values.js';

interface Host {
  nextId(): number;
  report(pos: number, message: string): void;
}

const ACCUMULATOR = '@result';
const EXISTS_ONE = new Set(['exists_one', 'existsOne']);

/** The expansion of a call; undefined where it is no macro. Wrong arguments are reported. */
export function expandMacro(call: Call, host: Host): Expr | undefined {
  if (!call.target) return call.fn === 'has' && call.args.length === 1 ? expandHas(call, host) : undefined;
  const expand = FOLDS[`${call.fn}/${call.args.length}`];
  return expand?.(new Builder(call, host));
}

function expandHas(call: Call, host: Host): Expr | undefined {
  const [arg] = call.args;
  if (arg!.kind === 'select') return { ...arg!, id: host.nextId(), pos: call.pos, test: true };
  host.report(arg!.pos, 'invalid argument to has() macro');
  return call;
}

const FOLDS: Record<string, (b: Builder) => Expr> = {
  'all/2': (b) => b.all(1),
  'all/3': (b) => b.all(2),
  'exists/2': (b) => b.exists(1),
  'exists/3': (b) => b.exists(2),
  'exists_one/2': (b) => b.existsOne(1),
  'existsOne/2': (b) => b.existsOne(1),
  'exists_one/3': (b) => b.existsOne(2),
  'existsOne/3': (b) => b.existsOne(2),
  'map/2': (b) => b.list(1, undefined, b.arg(1)),
  'map/3': (b) => b.list(1, b.arg(1), b.arg(2)),
  'filter/2': (b) => b.list(1, b.arg(1), b.arg(0)),
  'transformList/3': (b) => b.list(2, undefined, b.arg(2)),
  'transformList/4': (b) => b.list(2, b.arg(2), b.arg(3)),
  'transformMap/3': (b) => b.map(undefined, b.arg(2), true),
  'transformMap/4': (b) => b.map(b.arg(2), b.arg(3), true),
  'transformMapEntry/3': (b) => b.map(undefined, b.arg(2), false),
  'transformMapEntry/4': (b) => b.map(b.arg(2), b.arg(3), false),
};

class Builder {
  constructor(
    readonly source: Call,
    readonly host: Host,
  ) {}

  arg(index: number): Expr {
    return this.source.args[index]!;
  }

  all(variables: number): Expr {
    const accumulator = this.#ident(ACCUMULATOR);
    return this.#fold(variables, {
      init: this.#const(true),
      condition: this.#call('@not_strictly_false', this.#ident(ACCUMULATOR)),
      step: this.#call('_&&_', accumulator, this.arg(variables)),
      result: this.#ident(ACCUMULATOR),
    });
  }

  exists(variables: number): Expr {
    const unless = this.#call('!_', this.#ident(ACCUMULATOR));
    return this.#fold(variables, {
      init: this.#const(false),
      condition: this.#call('@not_strictly_false', unless),
      step: this.#call('_||_', this.#ident(ACCUMULATOR), this.arg(variables)),
      result: this.#ident(ACCUMULATOR),
    });
  }

  existsOne(variables: number): Expr {
    const one = this.#call('_+_', this.#ident(ACCUMULATOR), this.#const(1n));
    return this.#fold(variables, {
      init: this.#const(0n),
      condition: this.#const(true),
      step: this.#when(this.arg(variables), one),
      result: this.#call('_==_', this.#ident(ACCUMULATOR), this.#const(1n)),
    });
  }

  list(variables: number, filter: Expr | undefined, item: Expr): Expr {
    const single = this.#list([item]);
    const added: Call = { ...this.#call('_+_', this.#ident(ACCUMULATOR), single), append: true };
    return this.#fold(variables, {
      init: this.#list([]),
      condition: this.#const(true),
      step: filter ? this.#when(filter, added) : added,
      result: this.#ident(ACCUMULATOR),
    });
  }

  /** A map: with `keyed` each value stands under the key it comes from, else `item` is a map of what to add. */
  map(filter: Expr | undefined, item: Expr, keyed: boolean): Expr {
    const key = keyed ? [this.#ident(this.#name(0))] : [];
    const added = this.#call('cel.@mapInsert', this.#ident(ACCUMULATOR), ...key, item);
    return this.#fold(2, {
      init: { kind: 'map', id: this.host.nextId(), pos: this.source.pos, entries: [] },
      condition: this.#const(true),
      step: filter ? this.#when(filter, added) : added,
      result: this.#ident(ACCUMULATOR),
    });
  }

  #when(filter: Expr, then: Expr): Expr {
    return this.#call('_?_:_', filter, then, this.#ident(ACCUMULATOR));
  }

  #fold(variables: number, rest: Pick<Fold, 'init' | 'condition' | 'step' | 'result'>): Expr {
    const first = this.#name(0);
    const second = variables === 2 ? this.#name(1) : undefined;
    if (second !== undefined && second === first)
      this.host.report(this.arg(1).pos, `duplicate variable name: ${second}`);
    return {
      kind: 'fold',
      id: this.host.nextId(),
      pos: this.source.pos,
      range: this.source.target!,
      first,
      ...(second !== undefined && { second }),
      accumulator: ACCUMULATOR,
      ...rest,
    };
  }

  #name(index: number): string {
    const arg = this.arg(index);
    if (arg.kind === 'ident' && !arg.name.startsWith('.')) return arg.name;
    this.host.report(
      arg.pos,
      EXISTS_ONE.has(this.source.fn) ? 'argument must be a simple name' : 'argument is not an identifier',
    );
    return '@error';
  }

  #ident(name: string): Ident {
    return { kind: 'ident', id: this.host.nextId(), pos: this.source.pos, name };
  }

  #const(value: Value): Expr {
    const type = typeof value === 'bigint' ? INT : BOOL;
    return { kind: 'const', id: this.host.nextId(), pos: this.source.pos, value, type };
  }

  #list(elements: Expr[]): Expr {
    return { kind: 'list', id: this.host.nextId(), pos: this.source.pos, elements, optional: new Set() };
  }

  #call(fn: string, ...args: Expr[]): Call {
    return { kind: 'call', id: this.host.nextId(), pos: this.source.pos, fn, args };
  }
}
