/** Field selectors such as `status.phase!=Failed,spec.nodeName=n1` (apimachinery `fields.ParseSelector`). */
import { badRequest } from './status.js';

export interface FieldTerm {
  field: string;
  operator: '=' | '!=';
  value: string;
}

export interface FieldSelector {
  /** All must hold. */
  readonly requirements: readonly FieldTerm[];
  /** Whether it selects everything. */
  readonly empty: boolean;
  /** `get` gives the value of a field, '' when absent. */
  matches(get: (field: string) => string): boolean;
  toString(): string;
}

/** Splits at commas that no backslash escapes. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === ',') {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms.filter((term) => term !== '');
}

function unescaped(value: string): string {
  let out = '';
  for (let i = 0; i < value.length; i++) {
    const char = value[i] as string;
    if (char === ',' || char === '=')
      throw badRequest(`invalid field selector: unescaped character in value: ${char.charCodeAt(0)}`);
    if (char !== '\\') {
      out += char;
      continue;
    }
    const next = value[++i] ?? '';
    if (next === '' || !'\\,='.includes(next))
      throw badRequest(`invalid field selector: invalid escape sequence: \\${next}`);
    out += next;
  }
  return out;
}

const escaped = (value: string): string => value.replace(/[\\,=]/g, (char) => `\\${char}`);

/** The text form of terms, from which `parseFieldSelector` reads them again. */
export const fieldSelectorText = (terms: readonly FieldTerm[]): string =>
  terms.map(({ field, operator, value }) => `${field}${operator}${escaped(value)}`).join(',');

class Terms implements FieldSelector {
  readonly requirements: readonly FieldTerm[];

  constructor(terms: FieldTerm[]) {
    this.requirements = terms;
  }

  get empty(): boolean {
    return this.requirements.length === 0;
  }

  matches(get: (field: string) => string): boolean {
    return this.requirements.every(
      ({ field, operator, value }) => (get(field) === value) === (operator === '='),
    );
  }

  toString(): string {
    return fieldSelectorText(this.requirements);
  }
}

/** The selector of a text; throws StatusError 400. */
export function parseFieldSelector(text: string): FieldSelector {
  const terms = splitTerms(text)
    .sort()
    .map((term): FieldTerm => {
      const match = /^(.*?)(!=|==|=)([\s\S]*)$/.exec(term);
      if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
      const [, field = '', operator, value = ''] = match;
      return { field, operator: operator === '!=' ? '!=' : '=', value: unescaped(value) };
    });
  return new Terms(terms);
}
