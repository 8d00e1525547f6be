/** Strict reading of JSON: members that an object has twice, and syntax errors in the words of Go's decoder. */

export interface StrictJson {
  value: unknown;
  /** Paths of members that occur more than once, such as `spec.replicas`. */
  duplicates: string[];
}

/** A text that is no JSON; the message is Go's: `invalid character '}' looking for beginning of value`. */
export class JsonSyntaxError extends Error {}

/**
 * Parses JSON and tells which members occur more than once (the last one stands, as ever). Costs little more than
 * JSON.parse unless there are some. Throws JsonSyntaxError.
 */
export function parseJsonStrict(text: string): StrictJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    new Scanner(text).document();
    throw new JsonSyntaxError((error as Error).message);
  }
  if (countKeys(text) === countMembers(value)) return { value, duplicates: [] };
  const scanner = new Scanner(text);
  scanner.document();
  return { value, duplicates: [...scanner.duplicates] };
}

/** How many strings with a colon behind them a valid JSON text has. */
function countKeys(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) {
    at = stringEnd(text, at);
    let next = at + 1;
    while (text.charCodeAt(next) <= 32) next++;
    if (text.charCodeAt(next) === 58) count++;
  }
  return count;
}

/** The closing quote of the string that opens at `open`. */
function stringEnd(text: string, open: number): number {
  let end = text.indexOf('"', open + 1);
  for (;;) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 92) slashes++;
    if (slashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
}

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') count += countMembers(item);
    return count;
  }
  for (const name in value) {
    const member = (value as Record<string, unknown>)[name];
    count += typeof member === 'object' ? 1 + countMembers(member) : 1;
  }
  return count;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const PLAIN_STRING = /(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*/y;

/** Walks a JSON text without building its value. */
class Scanner {
  readonly duplicates = new Set<string>();
  #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value('');
    if (this.#peek() !== '') this.#fail('after top-level value');
  }

  /** The next character that is no space, '' at the end. */
  #peek(): string {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
    return this.#text[this.#at] ?? '';
  }

  #fail(context: string): never {
    const char = this.#text[this.#at];
    if (char === undefined) throw new JsonSyntaxError('unexpected end of JSON input');
    const shown = char === "'" ? "\\'" : char === '"' ? '"' : JSON.stringify(char).slice(1, -1);
    throw new JsonSyntaxError(`invalid character '${shown}' ${context}`);
  }

  #value(path: string): void {
    const char = this.#peek();
    if (char === '{') this.#object(path);
    else if (char === '[') this.#array(path);
    else if (char === '"') this.#string();
    else if (char === '-' || /\d/.test(char)) this.#number();
    else if (char === 't') this.#literal('true');
    else if (char === 'f') this.#literal('false');
    else if (char === 'n') this.#literal('null');
    else this.#fail('looking for beginning of value');
  }

  #object(path: string): void {
    this.#at++;
    const seen = new Set<string>();
    if (this.#peek() === '}') {
      this.#at++;
      return;
    }
    for (;;) {
      if (this.#peek() !== '"') this.#fail('looking for beginning of object key string');
      const name = JSON.parse(this.#string()) as string;
      const child = path === '' ? name : `${path}.${name}`;
      if (seen.has(name)) this.duplicates.add(child);
      seen.add(name);
      if (this.#peek() !== ':') this.#fail('after object key');
      this.#at++;
      this.#value(child);
      const next = this.#peek();
      if (next !== ',' && next !== '}') this.#fail('after object key:value pair');
      this.#at++;
      if (next === '}') return;
    }
  }

  #array(path: string): void {
    this.#at++;
    if (this.#peek() === ']') {
      this.#at++;
      return;
    }
    for (let i = 0; ; i++) {
      this.#value(`${path}[${i}]`);
      const next = this.#peek();
      if (next !== ',' && next !== ']') this.#fail('after array element');
      this.#at++;
      if (next === ']') return;
    }
  }

  /** Reads a string; returns its JSON text. */
  #string(): string {
    const start = this.#at;
    PLAIN_STRING.lastIndex = start + 1;
    this.#at += 1 + (PLAIN_STRING.exec(this.#text)?.[0].length ?? 0);
    if (this.#text[this.#at] === '\\') {
      this.#at++;
      if (this.#text[this.#at] !== 'u') this.#fail('in string escape code');
      do this.#at++;
      while (/[\da-fA-F]/.test(this.#text[this.#at] ?? ''));
      this.#fail('in \\u hexadecimal character escape');
    }
    if (this.#text[this.#at] !== '"') this.#fail('in string literal');
    this.#at++;
    return this.#text.slice(start, this.#at);
  }

  #number(): void {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    this.#at += match?.[0].length ?? 1;
    if (!match) this.#fail('in numeric literal');
    const char = this.#text[this.#at] ?? '';
    if (char === '.') {
      this.#at++;
      this.#fail('after decimal point in numeric literal');
    }
    if (char === 'e' || char === 'E') {
      this.#at++;
      if (/[-+]/.test(this.#text[this.#at] ?? '')) this.#at++;
      this.#fail('in exponent of numeric literal');
    }
  }

  #literal(word: string): void {
    for (const expected of word) {
      if (this.#at > 0 && this.#text[this.#at] !== expected)
        this.#fail(`in literal ${word} (expecting '${expected}')`);
      this.#at++;
    }
  }
}
