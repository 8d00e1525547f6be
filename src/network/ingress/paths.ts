/** Hosts and paths of requests and rules: their normal forms, and what matches what. Pure. */

export type PathType = 'Exact' | 'Prefix';

const UNPRINTABLE = /[\0-\x20\x7f]/;
const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

/**
 * The path of a request as rules see it: without query, unreserved characters decoded, dot segments resolved
 * (RFC 3986, 6.2.2), so that `/public/%2e%2e/admin` is `/admin`. Undefined for what is no path.
 */
export function normalPath(target: string): string | undefined {
  const path = target.split(/[?#]/, 1)[0]!;
  if (!path.startsWith('/') || UNPRINTABLE.test(target)) return undefined;
  if (!path.includes('%') && !path.includes('/.')) return path;
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return undefined;
  const decoded = path.replace(/%[0-9A-Fa-f]{2}/g, (code) => {
    const char = String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return UNRESERVED.test(char) ? char : code.toUpperCase();
  });
  return resolveDots(decoded);
}

function resolveDots(path: string): string {
  const kept: string[] = [];
  const segments = path.slice(1).split('/');
  segments.forEach((segment, i) => {
    const isLast = i === segments.length - 1;
    if (segment === '..') kept.pop();
    if (segment !== '.' && segment !== '..') kept.push(segment);
    else if (isLast) kept.push('');
  });
  return `/${kept.join('/')}`;
}

/** The name in a Host header: lower case, without port and final dot. Undefined for what is no host. */
export function normalHost(host: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^\s:/?#@[\]\\]+)(?::\d{1,5})?$/i.exec(host);
  return match?.[1]?.toLowerCase().replace(/\.$/, '');
}

/** The wildcard that covers the host: `*.b.c` for `a.b.c`. It stands for one label and no more. */
export function wildcardOf(host: string): string | undefined {
  const dot = host.indexOf('.');
  return dot > 0 && dot < host.length - 1 ? `*${host.slice(dot)}` : undefined;
}

/**
 * Whether a rule's path covers that of a request. Prefixes match whole elements: `/foo` is no prefix of `/foobar`;
 * a slash at the end of a prefix is of no account.
 * @see https://kubernetes.io/docs/concepts/services-networking/ingress/#examples
 */
export function pathMatches(type: PathType, rule: string, path: string): boolean {
  if (type === 'Exact') return rule === path;
  const prefix = rule.endsWith('/') ? rule.slice(0, -1) : rule;
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}
