/** Words and variables of Dockerfiles, by the rules of a shell that they take over. */

export interface Expansion {
  escape: string;
  lookup(name: string): string | undefined;
}

/** Quotes go, variables are replaced; the result is split at blanks. */
export function words(text: string, expansion: Expansion): string[] {
  const found: string[] = [];
  let word: string | undefined;
  for (const { text: piece, blank } of pieces(text, expansion)) {
    if (!blank) word = (word ?? '') + piece;
    else if (word !== undefined) {
      found.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) found.push(word);
  return found;
}

/** One word, whatever blanks it has. */
export function expandWord(text: string, expansion: Expansion): string {
  return [...pieces(text, expansion)].map((piece) => piece.text).join('');
}

/** Only variables: quotes stay, as in a here-document. */
export function expandVariables(text: string, expansion: Expansion): string {
  let out = '';
  for (let at = 0; at < text.length; ) {
    const char = text[at]!;
    if (char === expansion.escape && '$\\`'.includes(text[at + 1] ?? 'x')) {
      out += text[at + 1];
      at += 2;
    } else if (char === '$') {
      const variable = readVariable(text, at, expansion);
      out += variable.value;
      at = variable.end;
    } else {
      out += char;
      at++;
    }
  }
  return out;
}

interface Piece {
  text: string;
  /** Between words. */
  blank: boolean;
}

function* pieces(text: string, expansion: Expansion): Generator<Piece> {
  const { escape: escapeMark } = expansion;
  for (let at = 0; at < text.length; ) {
    const char = text[at]!;
    if (char === "'") {
      const end = text.indexOf("'", at + 1);
      if (end < 0)
        throw new Error(`unexpected end of statement while looking for matching single-quote in: ${text}`);
      yield { text: text.slice(at + 1, end), blank: false };
      at = end + 1;
    } else if (char === '"') {
      const { value, end } = readQuoted(text, at + 1, expansion);
      yield { text: value, blank: false };
      at = end;
    } else if (char === '$') {
      const { value, end } = readVariable(text, at, expansion);
      yield { text: value, blank: false };
      at = end;
    } else if (char === escapeMark && at + 1 < text.length) {
      yield { text: text[at + 1]!, blank: false };
      at += 2;
    } else {
      yield { text: char, blank: /\s/.test(char) };
      at++;
    }
  }
}

function readQuoted(text: string, start: number, expansion: Expansion): { value: string; end: number } {
  let value = '';
  for (let at = start; at < text.length; ) {
    const char = text[at]!;
    if (char === '"') return { value, end: at + 1 };
    if (char === expansion.escape && ['"', '$', expansion.escape].includes(text[at + 1]!)) {
      value += text[at + 1];
      at += 2;
    } else if (char === '$') {
      const variable = readVariable(text, at, expansion);
      value += variable.value;
      at = variable.end;
    } else {
      value += char;
      at++;
    }
  }
  throw new Error(`unexpected end of statement while looking for matching double-quote in: ${text}`);
}

/** `$name`, `${name}`, and `${name` with `:-`, `-`, `:+`, `+`, `:?`, `?`, `#`, `##`, `%`, `%%`, `/` or `//`. */
function readVariable(text: string, start: number, expansion: Expansion): { value: string; end: number } {
  const plain = /^\$([A-Za-z_]\w*|[0-9@*#?$!-])/.exec(text.slice(start));
  if (plain) return { value: expansion.lookup(plain[1]!) ?? '', end: start + plain[0].length };
  const braced = /^\$\{([A-Za-z_]\w*)(:?[-+?]|##?|%%?|\/\/?|\})/.exec(text.slice(start));
  if (!braced) {
    if (text.startsWith('${', start))
      throw new Error(`unsupported modifier in substitution: ${text.slice(start)}`);
    return { value: '$', end: start + 1 };
  }
  const [whole, name = '', operator = ''] = braced;
  const value = expansion.lookup(name);
  if (operator === '}') return { value: value ?? '', end: start + whole.length };
  const end = closingBrace(text, start + whole.length);
  const raw = text.slice(start + whole.length, end);
  const result = operator.startsWith('/')
    ? replace(value ?? '', operator, raw, expansion)
    : modify(name, value, operator, expandWord(raw, expansion));
  return { value: result, end: end + 1 };
}

function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text.startsWith('${', at)) depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  throw new Error(`missing closing brace in: ${text}`);
}

function modify(name: string, value: string | undefined, operator: string, word: string): string {
  const isSet = value !== undefined && (!operator.startsWith(':') || value !== '');
  const kind = operator.replace(':', '');
  if (kind === '-') return isSet ? value : word;
  if (kind === '+') return isSet ? word : '';
  if (kind === '?') {
    if (isSet) return value;
    throw new Error(`${name}: ${word || 'not set'}`);
  }
  const text = value ?? '';
  const greedy = kind.length === 2;
  const source = globSource(word, greedy);
  if (kind.startsWith('#')) return text.replace(new RegExp(`^${source}`, 's'), '');
  // The shortest end that matches: try from the right.
  const pattern = new RegExp(`^${globSource(word, true)}$`, 's');
  const starts = Array.from({ length: text.length + 1 }, (_, i) => (greedy ? i : text.length - i));
  const at = starts.find((i) => pattern.test(text.slice(i)));
  return at === undefined ? text : text.slice(0, at);
}

/** `pattern/replacement`; a slash of the pattern has a backslash before it. */
function replace(text: string, operator: string, raw: string, expansion: Expansion): string {
  const [, pattern = '', replacement = ''] = /^((?:\\.|[^/\\])*)(?:\/(.*))?$/s.exec(raw) ?? [];
  const source = globSource(expandWord(pattern, expansion), true);
  const by = expandWord(replacement, expansion);
  return text.replace(new RegExp(source, operator === '//' ? 'g' : ''), () => by);
}

const globSource = (pattern: string, greedy: boolean): string =>
  pattern.replace(/[.+^${}()|[\]\\*?]/g, (char) =>
    char === '*' ? (greedy ? '.*' : '.*?') : char === '?' ? '.' : `\\${char}`,
  );
