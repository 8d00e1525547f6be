/** Headers on their way through the proxy. Pure. */
import type { OutgoingHttpHeaders } from 'node:http';

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

/** End-to-end headers of a message, in order and with repeats: name → all its values. */
export function endToEnd(raw: readonly string[]): Map<string, string[]> {
  const dropped = connectionNames(raw);
  const kept = new Map<string, string[]>();
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase();
    if (name.startsWith(':') || HOP_BY_HOP.has(name) || dropped.has(name)) continue;
    const values = kept.get(name);
    if (values) values.push(raw[i + 1]!);
    else kept.set(name, [raw[i + 1]!]);
  }
  return kept;
}

/** What the backend gets. `upgrade` names the protocol that the client asks for. */
export function requestHeaders(
  raw: readonly string[],
  origin: Origin,
  upgrade?: string,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = origin.host === '' ? {} : { host: origin.host };
  for (const [name, values] of endToEnd(raw)) {
    // The proxy itself has answered `Expect: 100-continue`.
    if (name === 'host' || name === 'expect' || FORWARDED.has(name)) continue;
    // HTTP/2 clients may send a cookie in pieces (RFC 9113, 8.2.3).
    headers[name] = values.length === 1 ? values[0]! : name === 'cookie' ? values.join('; ') : values;
  }
  headers['x-forwarded-for'] = origin.client;
  headers['x-forwarded-proto'] = origin.protocol;
  headers['x-forwarded-host'] = origin.host;
  headers['x-forwarded-port'] = `${origin.port}`;
  headers['x-real-ip'] = origin.client;
  if (upgrade) Object.assign(headers, { connection: 'Upgrade', upgrade });
  return headers;
}

/** What the client gets. */
export function responseHeaders(raw: readonly string[]): OutgoingHttpHeaders {
  return Object.fromEntries(
    [...endToEnd(raw)].map(([name, values]) => [name, values.length === 1 ? values[0] : values]),
  );
}

/** Whether a request may be sent a second time (RFC 9110, 9.2.2). */
export const isIdempotent = (method: string): boolean =>
  ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'].includes(method);
