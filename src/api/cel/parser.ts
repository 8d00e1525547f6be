/** Reads an expression into its tree. */
import type { Call, Entry, Expr, Select, StructExpr } from './ast.js';
import { type Token, tokenize } from './lexer.js';
import { expandMacro } from './macros.js';
import type { Issue } from './source.js';
import { BOOL, BYTES, DOUBLE, INT, NULL, STRING, type Type, UINT } from './types.js';
import type { Value } from './values.js';

/** As deep as an expression may nest, and as long as it may be, in code points. */
const MAX_DEPTH = 250;
const MAX_LENGTH = 100_000;

const RESERVED = new Set(
  'as break const continue else false for function if import in let loop package namespace null return true var void while'.split(
    ' ',
  ),
);

const RELATIONS = ['<', '<=', '>=', '>', '==', '!=', 'in'];
const OPERATOR: Record<string, string> = { in: '@in', '!': '!_', '-': '-_' };

class ParseError extends Error {
  constructor(readonly issue: Issue) {
    super(issue.message);
  }
}

/** The tree, or undefined where there are issues. */
export function parse(source: string): { expr?: Expr; issues: Issue[] } {
  if (source.length > MAX_LENGTH && [...source].length > MAX_LENGTH) {
    const message = `expression code point size exceeds limit: size: ${[...source].length}, limit ${MAX_LENGTH}`;
    return { issues: [{ pos: 0, message }] };
  }
  const issues: Issue[] = [];
  const parser = new Parser(tokenize(source, issues), issues);
  try {
    const expr = parser.parseAll();
    return issues.length > 0 ? { issues } : { expr, issues };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    issues.push(error.issue);
    return { issues };
  }
}

export class Parser {
  #index = 0;
  #lastId = 0;
  #depth = 0;

  constructor(
    private readonly tokens: Token[],
    private readonly issues: Issue[],
  ) {}

  parseAll(): Expr {
    const expr = this.#expression();
    const next = this.#peek();
    if (next.type !== 'end') this.#fail(next, `extraneous input '${next.text}' expecting <EOF>`);
    return expr;
  }

  readonly nextId = (): number => ++this.#lastId;

  readonly report = (pos: number, message: string): void => {
    this.issues.push({ pos, message });
  };

  #peek(): Token {
    return this.tokens[this.#index]!;
  }

  #is(...texts: string[]): boolean {
    const { type, text } = this.#peek();
    return (type === 'op' || type === 'ident') && texts.includes(text);
  }

  #next(): Token {
    return this.tokens[this.#index++]!;
  }

  #take(text: string): Token | undefined {
    return this.#is(text) ? this.#next() : undefined;
  }

  #expect(text: string): Token {
    const token = this.#take(text);
    if (token) return token;
    const next = this.#peek();
    return this.#fail(next, `mismatched input '${next.text}' expecting '${text}'`);
  }

  #fail({ pos }: Token, message: string): never {
    throw new ParseError({ pos, message: `Syntax error: ${message}` });
  }

  #expression(): Expr {
    if (++this.#depth > MAX_DEPTH)
      throw new ParseError({ pos: -1, message: `expression recursion limit exceeded: ${MAX_DEPTH}` });
    const condition = this.#or();
    const question = this.#take('?');
    if (!question) {
      this.#depth--;
      return condition;
    }
    const yes = this.#or();
    this.#expect(':');
    const no = this.#expression();
    this.#depth--;
    return this.#call(question.pos, '_?_:_', [condition, yes, no]);
  }

  #call(pos: number, fn: string, args: Expr[], target?: Expr): Call {
    return { kind: 'call', id: this.nextId(), pos, fn, args, ...(target && { target }) };
  }

  #or(): Expr {
    return this.#logical('||', '_||_', () => this.#logical('&&', '_&&_', () => this.#relation()));
  }

  #logical(text: string, fn: string, operand: () => Expr): Expr {
    let left = operand();
    for (let op = this.#take(text); op; op = this.#take(text))
      left = this.#call(op.pos, fn, [left, operand()]);
    return left;
  }

  #relation(): Expr {
    let left = this.#sum();
    while (this.#is(...RELATIONS)) {
      const op = this.#next();
      left = this.#call(op.pos, OPERATOR[op.text] ?? `_${op.text}_`, [left, this.#sum()]);
    }
    return left;
  }

  #sum(): Expr {
    let left = this.#product();
    while (this.#is('+', '-')) {
      const op = this.#next();
      left = this.#call(op.pos, `_${op.text}_`, [left, this.#product()]);
    }
    return left;
  }

  #product(): Expr {
    let left = this.#unary();
    while (this.#is('*', '/', '%')) {
      const op = this.#next();
      left = this.#call(op.pos, `_${op.text}_`, [left, this.#unary()]);
    }
    return left;
  }

  #unary(): Expr {
    if (!this.#is('!', '-')) return this.#member(this.#primary());
    const op = this.#peek();
    let count = 0;
    while (this.#take(op.text)) count++;
    const next = this.#peek();
    if (op.text === '-' && (next.type === 'int' || next.type === 'double')) {
      this.#next();
      const value = next.type === 'int' ? -(next.value as bigint) : -(next.value as number);
      const literal = this.#const(op.pos, value, next.type === 'int' ? INT : DOUBLE);
      const operand = this.#member(literal);
      return count % 2 === 1 ? operand : this.#call(op.pos, '-_', [operand]);
    }
    const operand = this.#is('!', '-') ? this.#unary() : this.#member(this.#primary());
    return count % 2 === 0 ? operand : this.#call(op.pos, OPERATOR[op.text]!, [operand]);
  }

  #member(start: Expr): Expr {
    let expr = start;
    for (;;) {
      const dot = this.#take('.');
      if (dot) {
        expr = this.#dotted(expr, dot);
        continue;
      }
      const open = this.#take('[');
      if (!open) return expr;
      const optional = this.#take('?') !== undefined;
      const key = this.#expression();
      this.#expect(']');
      expr = this.#call(open.pos, optional ? '_[?_]' : '_[_]', [expr, key]);
    }
  }

  #dotted(operand: Expr, dot: Token): Expr {
    const optional = this.#take('?') !== undefined;
    const name = this.#next();
    if (name.type !== 'ident' && name.type !== 'quoted')
      this.#fail(name, `no viable alternative at input '.${name.type === 'end' ? '' : name.text}'`);
    const field = name.type === 'quoted' ? (name.value as string) : name.text;
    if (optional) return this.#call(dot.pos, '_?._', [operand, this.#const(name.pos, field, STRING)]);
    const open = name.type === 'ident' ? this.#take('(') : undefined;
    if (!open) return { kind: 'select', id: this.nextId(), pos: dot.pos, operand, field, test: false };
    const args = this.#list(')', () => this.#expression());
    const call = this.#call(open.pos, field, args, operand);
    return expandMacro(call, this) ?? call;
  }

  #primary(): Expr {
    const token = this.#next();
    const { type, text, pos } = token;
    switch (type) {
      case 'int':
        if (token.value === 2n ** 63n) this.report(pos, 'invalid int literal');
        return this.#const(pos, token.value as bigint, INT);
      case 'uint':
        return this.#const(pos, token.value as Value, UINT);
      case 'double':
        return this.#const(pos, token.value as number, DOUBLE);
      case 'string':
        return this.#const(pos, token.value as string, STRING);
      case 'bytes':
        return this.#const(pos, token.value as Uint8Array, BYTES);
      case 'ident':
        return this.#named(token, '');
    }
    if (text === '(' && type === 'op') {
      const inner = this.#expression();
      this.#expect(')');
      return inner;
    }
    if (text === '[' && type === 'op') return this.#listLiteral(pos);
    if (text === '{' && type === 'op') return this.#mapLiteral(pos);
    if (text === '.' && type === 'op') return this.#named(this.#next(), '.');
    this.#index--;
    return this.#fail(
      token,
      `mismatched input '${text}' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}`,
    );
  }

  #named(token: Token, dot: string): Expr {
    const { text, pos } = token;
    if (dot === '' && (text === 'true' || text === 'false')) return this.#const(pos, text === 'true', BOOL);
    if (dot === '' && text === 'null') return this.#const(pos, null, NULL);
    if (token.type !== 'ident') this.#fail(token, `mismatched input '${text}' expecting IDENTIFIER`);
    const name = `${dot}${text}`;
    const open = this.#take('(');
    if (open) {
      const call = this.#call(
        open.pos,
        name,
        this.#list(')', () => this.#expression()),
      );
      return expandMacro(call, this) ?? call;
    }
    const struct = this.#structName(name);
    if (struct) return struct;
    if (RESERVED.has(text)) this.report(pos, `Syntax error: reserved identifier: ${text}`);
    return { kind: 'ident', id: this.nextId(), pos, name };
  }

  /** `a.b.C{field: value}`: looks ahead for the brace, and takes nothing if there is none. */
  #structName(first: string): StructExpr | undefined {
    let ahead = this.#index;
    let name = first;
    while (this.tokens[ahead]!.text === '.' && this.tokens[ahead + 1]?.type === 'ident') {
      name += `.${this.tokens[ahead + 1]!.text}`;
      ahead += 2;
    }
    const open = this.tokens[ahead]!;
    if (open.type !== 'op' || open.text !== '{') return undefined;
    this.#index = ahead + 1;
    const id = this.nextId();
    const entries = this.#list('}', () => {
      const optional = this.#take('?') !== undefined;
      const field = this.#next();
      if (field.type !== 'ident' && field.type !== 'quoted')
        this.#fail(field, `mismatched input '${field.text}' expecting IDENTIFIER`);
      const { pos } = this.#expect(':');
      const text = field.type === 'quoted' ? (field.value as string) : field.text;
      return { field: text, optional, pos, value: this.#expression() };
    });
    return { kind: 'struct', id, pos: open.pos, name, entries };
  }

  #listLiteral(pos: number): Expr {
    const id = this.nextId();
    const optional = new Set<number>();
    let count = 0;
    const elements = this.#list(']', () => {
      if (this.#take('?')) optional.add(count);
      count++;
      return this.#expression();
    });
    return { kind: 'list', id, pos, elements, optional };
  }

  #mapLiteral(pos: number): Expr {
    const id = this.nextId();
    const entries = this.#list('}', (): Entry => {
      const optional = this.#take('?') !== undefined;
      const key = this.#expression();
      const colon = this.#expect(':');
      return { key, value: this.#expression(), optional, pos: colon.pos };
    });
    return { kind: 'map', id, pos, entries };
  }

  /** Items between commas up to `close`; lists and maps may end in a comma. */
  #list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.#take(close)) return items;
    for (;;) {
      items.push(item());
      if (this.#take(close)) return items;
      const next = this.#peek();
      if (!this.#take(',')) this.#fail(next, `mismatched input '${next.text}' expecting {',', '${close}'}`);
      if (close !== ')' && this.#take(close)) return items;
    }
  }

  #const(pos: number, value: Value, type: Type): Expr {
    return { kind: 'const', id: this.nextId(), pos, value, type };
  }
}

export type { Select };
