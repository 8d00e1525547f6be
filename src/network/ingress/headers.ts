/** Headers on their way through the proxy. Pure. */
import type { Attempt } from './attempt.js';
import { ProxyError } from './proxy-error.js';

/** Meant for the next hop alone (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Set by the proxy: what a client says of them is not to be believed. */
const FORWARDED = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
]);

export interface Origin {
  /** The client's address. */
  client: string;
  protocol: 'http' | 'https';
  /** As the client named it. */
  host: string;
  /** The port of the proxy that the client came to. */
  port: number;
}

const NONE: ReadonlySet<string> = new Set();
/** Names no header. */
const ALONE = /^(?:keep-alive|close)$/i;
/** Would end a header's line, or its value for some. */
const BREAKS = /[\r\n\0]/;
/** Methods whose requests say so when they have no body. */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** Names that a Connection header makes hop-by-hop for its message. */
function connectionNames(raw: readonly string[]): ReadonlySet<string> {
  let names: Set<string> | undefined;
  for (let i = 0; i < raw.length; i += 2)
    if (raw[i]!.length === 10 && raw[i]!.toLowerCase() === 'connection' && !ALONE.test(raw[i + 1]!)) {
      names ??= new Set();
      for (const name of raw[i + 1]!.split(',')) names.add(name.trim().toLowerCase());
    }
  return names ?? NONE;
}

/** What the backend gets but for `Host`: names and values in turn, in the order in which they came. */
export function requestHeaders(raw: readonly string[], origin: Origin): string[] {
  const dropped = connectionNames(raw);
  const headers: string[] = [];
  let cookie = -1;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase();
    const value = raw[i + 1]!;
    // The proxy itself has answered `Expect: 100-continue`.
    if (name === 'host' || name === 'expect' || name.startsWith(':')) continue;
    if (HOP_BY_HOP.has(name) || FORWARDED.has(name) || dropped.has(name)) continue;
    // HTTP/2 clients may send a cookie in pieces (RFC 9113, 8.2.3).
    if (name === 'cookie' && cookie !== -1) headers[cookie] += `; ${value}`;
    else headers.push(raw[i]!, value);
    if (name === 'cookie' && cookie === -1) cookie = headers.length - 1;
  }
  headers.push('X-Forwarded-For', origin.client, 'X-Forwarded-Proto', origin.protocol);
  headers.push('X-Forwarded-Host', origin.host, 'X-Forwarded-Port', `${origin.port}`);
  headers.push('X-Real-IP', origin.client);
  return headers;
}

/** What the client gets: names and values in turn, in the order in which they came. */
export function responseHeaders(raw: readonly string[]): string[] {
  const dropped = connectionNames(raw);
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase();
    if (!name.startsWith(':') && !HOP_BY_HOP.has(name) && !dropped.has(name))
      headers.push(raw[i]!, raw[i + 1]!);
  }
  return headers;
}

/** As Node's HTTP/2 wants them: by name in lower case, repeated ones in a list. */
export function byName(headers: readonly string[]): Record<string, string | string[]> {
  const named: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    const known = named[name];
    named[name] = known === undefined ? headers[i + 1]! : [known, headers[i + 1]!].flat();
  }
  return named;
}

/**
 * The head of a request of HTTP/1.1 as it is written; `address` is named where the client names no host.
 * @throws ProxyError for what would be read as more than one header or request.
 */
export function requestHead(attempt: Attempt, address: string): string {
  const { method, path, host, headers, hasBody, length, upgrade } = attempt;
  if (BREAKS.test(path) || BREAKS.test(host)) throw new ProxyError(400, 'no valid host or path');
  let text = `${method} ${path} HTTP/1.1\r\nHost: ${host || address}\r\n`;
  for (let i = 0; i < headers.length; i += 2) {
    if (BREAKS.test(headers[i + 1]!)) throw new ProxyError(400, `no valid value of ${headers[i]}`);
    text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  }
  if (hasBody && length === undefined) text += 'Transfer-Encoding: chunked\r\n';
  if (!hasBody && length === undefined && WITH_BODY.has(method)) text += 'Content-Length: 0\r\n';
  return `${text}${upgrade === undefined ? '' : `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`}\r\n`;
}

/** Whether a request may be sent a second time (RFC 9110, 9.2.2). */
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method);
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
