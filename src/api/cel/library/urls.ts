/** Kubernetes' URL functions. */
import { func, method, type Overload } from '../declare.js';
import { CelError } from '../errors.js';
import { objectOf } from '../types.js';
import { Entries, ListValue, Opaque } from '../values.js';
import { once } from './costs.js';

const TYPE = objectOf('kubernetes.URL');
const U = TYPE.name;

class UrlValue extends Opaque {
  readonly type = TYPE;
  constructor(
    readonly text: string,
    readonly url: URL,
    /** Without a scheme and host: only the path is given. */
    readonly relative: boolean,
  ) {
    super();
  }
  override equals(other: Opaque): boolean {
    return other instanceof UrlValue && other.text === this.text;
  }
}

const BASE = 'http://relative.invalid';

/** Absolute URLs, and absolute paths (Go's `url.ParseRequestURI`). */
function parse(text: string): UrlValue | undefined {
  const relative = text.startsWith('/');
  if (!relative && !/^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text)) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
  if (/[\x00-\x20\x7f]/.test(text)) return undefined;
  try {
    return new UrlValue(text, new URL(text, relative ? BASE : undefined), relative);
  } catch {
    return undefined;
  }
}

function url(text: string): UrlValue {
  const parsed = parse(text);
  if (!parsed)
    throw new CelError(
      `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
    );
  return parsed;
}

const hostOf = ({ text, url: { host }, relative }: UrlValue): string => {
  // The port stays as it is written, also where it is the scheme's own.
  const written = /^[^:]+:\/\/(?:[^@/?#]*@)?([^/?#]*)/.exec(text)?.[1];
  return relative ? '' : (written ?? host);
};

const portOf = (value: UrlValue): string => /:(\d*)$/.exec(hostOf(value))?.[1] ?? '';
const hostname = (value: UrlValue): string =>
  hostOf(value)
    .replace(/:\d*$/, '')
    .replace(/^\[|\]$/g, '');
const pathOf = ({ url: { pathname }, text }: UrlValue): string =>
  pathname === '/' && !/^(\/|[^:]+:\/\/[^/?#]*\/)/.test(text) ? '' : pathname;

function query({ url: { searchParams } }: UrlValue): Entries {
  const keys = [...new Set(searchParams.keys())];
  return new Entries(keys.map((key) => [key, new ListValue(searchParams.getAll(key))] as const));
}

export const urls: Overload[] = [
  func(`url(string): ${U}`, url, once),
  func('isURL(string): bool', (text: string) => parse(text) !== undefined, once),
  method(U, 'getScheme(): string', ({ url: at, relative }: UrlValue) =>
    relative ? '' : at.protocol.slice(0, -1),
  ),
  method(U, 'getHost(): string', hostOf),
  method(U, 'getHostname(): string', hostname),
  method(U, 'getPort(): string', portOf),
  method(U, 'getEscapedPath(): string', pathOf),
  method(U, 'getQuery(): map<string, list<string>>', query),
];
