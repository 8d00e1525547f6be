/** Regular expressions in RE2's syntax, which match in linear time. */
import { RE2JS } from 're2js';

const CACHE_SIZE = 5000;
const cache = new Map<string, Pattern>();

export interface Pattern {
  test(text: string): boolean;
  /** All that matches, up to `limit` where it is not negative. */
  findAll(text: string, limit: number): string[];
}

/** Throws an Error with RE2's words where the pattern is none. */
export function compilePattern(pattern: string): Pattern {
  const known = cache.get(pattern);
  if (known) return known;
  const compiled = compile(pattern);
  if (cache.size >= CACHE_SIZE) cache.delete(cache.keys().next().value!);
  cache.set(pattern, compiled);
  return compiled;
}

function compile(pattern: string): Pattern {
  const re2 = RE2JS.compile(pattern);
  return {
    test: (text) => re2.test(text),
    findAll(text, limit) {
      const found: string[] = [];
      const matcher = re2.matcher(text);
      while ((limit < 0 || found.length < limit) && matcher.find()) found.push(matcher.group() ?? '');
      return found;
    },
  };
}
