/** Which headers pass a proxy (net/http/httputil's `ReverseProxy`, and upstream's filters before it). */
import type { IncomingMessage } from 'node:http';
import type { Call } from '../context.js';

type Headers = Record<string, string | string[]>;

/** Of one connection alone. */
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

/** What tells who the client is to this server, and nobody else. */
const CREDENTIALS = /^(authorization|impersonate-.*|x-remote-.*)$/;
const TOKEN_PROTOCOL = 'base64url.bearer.authorization.k8s.io.';

const named = (connection: string | undefined): Set<string> =>
  new Set((connection ?? '').split(',').map((name) => name.trim().toLowerCase()));

/** The headers of a request as the backend gets them. */
export function requestHeaders(call: Call): Headers {
  const headers: Headers = {};
  const dropped = named(call.header('connection'));
  for (const name of call.headerNames?.() ?? []) {
    if (name.startsWith(':') || HOP_BY_HOP.has(name) || dropped.has(name) || CREDENTIALS.test(name)) continue;
    const value = call.header(name);
    if (value !== undefined) headers[name] = value;
  }
  headers['host'] = call.header('host') ?? '';
  const protocols = headers['sec-websocket-protocol'];
  if (typeof protocols === 'string') headers['sec-websocket-protocol'] = withoutToken(protocols);
  if (call.remoteAddress !== undefined) {
    const before = headers['x-forwarded-for'];
    headers['x-forwarded-for'] = [before ?? [], call.remoteAddress].flat().join(', ');
  }
  return headers;
}

const withoutToken = (protocols: string): string =>
  protocols
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => !protocol.startsWith(TOKEN_PROTOCOL))
    .join(', ');

/** Lets no backend loosen what browsers may do with this server's answers. */
const CORS = /^access-control-(allow-(credentials|headers|methods|origin)|expose-headers|max-age)$/;

/** The headers of an answer as the client gets them. */
export function responseHeaders(answer: IncomingMessage): Headers {
  const headers: Headers = {};
  const dropped = named(answer.headers.connection);
  for (let i = 0; i < answer.rawHeaders.length; i += 2) {
    const [name, value] = [answer.rawHeaders[i]!.toLowerCase(), answer.rawHeaders[i + 1]!];
    if (HOP_BY_HOP.has(name) || dropped.has(name) || CORS.test(name)) continue;
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
