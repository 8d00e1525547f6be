/** The grammar of label selectors' text form, with upstream's errors (apimachinery `labels.Parse`). */
import { describe, type FieldError, invalid } from './field.js';
import { labelValue, qualifiedName } from './names.js';
import { badRequest, StatusError } from './status.js';

export type LabelOperator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';

export interface LabelRequirement {
  key: string;
  operator: LabelOperator;
  /** Sorted, without duplicates; one for `=`, `==`, `!=`, `gt` and `lt`, none for `exists` and `!`. */
  values: readonly string[];
}

type Kind = 'identifier' | 'operator' | 'end' | 'error' | ',' | '(' | ')' | '!';

interface Token {
  kind: Kind;
  text: string;
}

const SPECIAL = '=!(),<>';
const OPERATOR: ReadonlyMap<string, LabelOperator> = new Map([
  ['=', '='],
  ['==', '=='],
  ['!=', '!='],
  ['in', 'in'],
  ['notin', 'notin'],
  ['>', 'gt'],
  ['<', 'lt'],
]);

/** Reads one run of special characters: the longest that is a token. */
function special(text: string, at: number): Token {
  let end = at;
  while (end < text.length && SPECIAL.includes(text[end] as string)) end++;
  const run = text.slice(at, end);
  const two = run.slice(0, 2);
  if (OPERATOR.has(two)) return { kind: 'operator', text: two };
  const one = run[0] as string;
  if (OPERATOR.has(one)) return { kind: 'operator', text: one };
  return { kind: one as Kind, text: one };
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at] as string;
    if (/[ \t\r\n]/.test(char)) {
      at++;
      continue;
    }
    if (SPECIAL.includes(char)) {
      const token = special(text, at);
      found.push(token);
      at += token.text.length;
      continue;
    }
    const word = /^[^=!(),<> \t\r\n]+/.exec(text.slice(at))?.[0] as string;
    found.push({ kind: OPERATOR.has(word) ? 'operator' : 'identifier', text: word });
    at += word.length;
  }
  found.push({ kind: 'end', text: '' });
  return found;
}

/** Checks a requirement and completes it; throws StatusError 400. */
export function requirement(key: string, operator: LabelOperator, list: readonly string[]): LabelRequirement {
  const values = [...new Set(list)].sort();
  const errors: FieldError[] = [];
  const keyErrors = qualifiedName(key);
  if (keyErrors.length > 0) errors.push(invalid('key', key, keyErrors.join('; ')));
  errors.push(...countErrors(operator, values));
  values.forEach((value, i) => {
    const wrong = labelValue(value);
    if (wrong.length > 0) errors.push(invalid(`values[${i}][${key}]`, value, wrong.join('; ')));
  });
  if (errors.length > 0) {
    const texts = errors.map(describe);
    throw badRequest(texts.length === 1 ? (texts[0] as string) : `[${texts.join(', ')}]`);
  }
  return { key, operator, values };
}

function countErrors(operator: LabelOperator, values: string[]): FieldError[] {
  const wrong = (detail: string) => [invalid('values', values, detail)];
  switch (operator) {
    case 'in':
    case 'notin':
      return values.length === 0 ? wrong("for 'in', 'notin' operators, values set can't be empty") : [];
    case '=':
    case '==':
    case '!=':
      return values.length !== 1 ? wrong('exact-match compatibility requires one single value') : [];
    case 'exists':
    case '!':
      return values.length !== 0 ? wrong('values set must be empty for exists and does not exist') : [];
    case 'gt':
    case 'lt':
      if (values.length !== 1) return wrong("for 'Gt', 'Lt' operators, exactly one value is required");
      return /^[-+]?\d+$/.test(values[0] as string)
        ? []
        : [invalid('values[0]', values[0], "for 'Gt', 'Lt' operators, the value must be an integer")];
  }
}

class Parser {
  #tokens: Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  /** `in` and `notin` are names where a key or value stands. */
  peek(): Token {
    const token = this.#tokens[this.#at] as Token;
    return token.kind === 'operator' && /^(not)?in$/.test(token.text)
      ? { ...token, kind: 'identifier' }
      : token;
  }

  take(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  all(): LabelRequirement[] {
    const found: LabelRequirement[] = [];
    for (;;) {
      const next = this.peek();
      if (next.kind === 'end') return found;
      if (next.kind !== 'identifier' && next.kind !== '!')
        throw badRequest(`found '${next.text}', expected: !, identifier, or 'end of string'`);
      try {
        found.push(this.one());
      } catch (error) {
        if (error instanceof StatusError) throw badRequest(`unable to parse requirement: ${error.message}`);
        throw error;
      }
      const after = this.take();
      if (after.kind === 'end') return found;
      if (after.kind !== ',') throw badRequest(`found '${after.text}', expected: ',' or 'end of string'`);
      const following = this.peek();
      if (following.kind !== 'identifier' && following.kind !== '!')
        throw badRequest(`found '${following.text}', expected: identifier after ','`);
    }
  }

  one(): LabelRequirement {
    const negated = this.peek().kind === '!';
    if (negated) this.take();
    const key = this.take();
    if (key.kind !== 'identifier') throw badRequest(`found '${key.text}', expected: identifier`);
    const wrong = qualifiedName(key.text);
    if (wrong.length > 0) throw badRequest(`<nil>: ${invalid('', key.text, wrong.join('; ')).message}`);
    if (negated) return requirement(key.text, '!', []);
    const next = this.peek().kind;
    if (next === 'end' || next === ',') return requirement(key.text, 'exists', []);
    const operator = this.operator();
    const values = operator === 'in' || operator === 'notin' ? this.values() : [this.exactValue()];
    return requirement(key.text, operator, values);
  }

  operator(): LabelOperator {
    const token = this.#tokens[this.#at] as Token;
    if (token.kind !== 'end') this.#at++;
    const operator = OPERATOR.get(token.text);
    if (!operator) throw badRequest(`found '${token.text}', expected: in, notin, =, ==, !=, gt, lt`);
    return operator;
  }

  exactValue(): string {
    const next = this.peek();
    if (next.kind === 'end' || next.kind === ',') return '';
    this.take();
    if (next.kind !== 'identifier') throw badRequest(`found '${next.text}', expected: identifier`);
    return next.text;
  }

  /** `(a,b)`; an absent value between commas is the empty one. */
  values(): string[] {
    const open = this.take();
    if (open.kind !== '(') throw badRequest(`found '${open.text}' expected: '('`);
    const values: string[] = [];
    let value: string | undefined;
    for (;;) {
      const token = this.take();
      if (token.kind === 'identifier' && value === undefined) value = token.text;
      else if (token.kind === ',' || token.kind === ')') {
        values.push(value ?? '');
        value = undefined;
        if (token.kind === ')') return values;
      } else
        throw badRequest(
          values.length === 0 && value === undefined
            ? `found '${token.text}', expected: ',', ')' or identifier`
            : value === undefined
              ? `found '${token.text}', expected: ',', or identifier`
              : `found '${token.text}', expected: ',' or ')'`,
        );
    }
  }
}

/** The requirements of a selector's text, in its order. Throws StatusError 400. */
export function parseRequirements(text: string): LabelRequirement[] {
  return new Parser(text).all();
}
