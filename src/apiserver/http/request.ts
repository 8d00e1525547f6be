/** Reads an HTTP request: URL, credentials, body. */
import type { TLSSocket } from 'node:tls';
import { type StatusError, tooLarge, unauthorized } from '../../api/machinery/status.js';
import type { Credentials } from '../../auth/authenticate.js';
import type { Body } from '../context.js';
import type { IncomingRequest } from './listener.js';

/** Upstream's limit of a request's body. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

export function parseUrl(request: IncomingRequest): {
  path: string;
  query: URLSearchParams;
  rawQuery: string;
} {
  const url = request.url ?? '/';
  const at = url.indexOf('?');
  return at < 0
    ? { path: url, query: new URLSearchParams(), rawQuery: '' }
    : { path: url.slice(0, at), query: new URLSearchParams(url.slice(at + 1)), rawQuery: url.slice(at + 1) };
}

/** Certificates are read once per connection. */
const subjects = new WeakMap<object, Credentials['certificate'] | null>();

/** Throws 401 for a certificate that the CA does not vouch for. */
export function credentialsOf(request: IncomingRequest): Credentials {
  const certificate = certificateOf(request);
  const token = bearer(request);
  return {
    ...(certificate ? { certificate } : {}),
    ...(token === undefined ? {} : { token }),
    path: parseUrl(request).path,
    header: (name) => {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    headerNames: () => Object.keys(request.headers),
  };
}

function bearer(request: IncomingRequest): string | undefined {
  const match = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '');
  if (match) return match[1];
  for (const protocol of protocols(request)) {
    if (protocol.startsWith(TOKEN_PROTOCOL))
      return Buffer.from(protocol.slice(TOKEN_PROTOCOL.length), 'base64url').toString();
  }
  return undefined;
}

/** Browsers can't set headers of a WebSocket: they send the token as a subprotocol. */
const TOKEN_PROTOCOL = 'base64url.bearer.authorization.k8s.io.';

export function protocols(request: IncomingRequest): string[] {
  return String(request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((p) => p.trim())
    .filter((p) => p !== '');
}

function certificateOf(request: IncomingRequest): Credentials['certificate'] {
  const socket = request.socket as TLSSocket;
  // Over HTTP/2 each request has a socket object of its own; the connection is the session.
  const connection: object = (request as any).stream?.session ?? socket;
  const known = subjects.get(connection);
  if (known !== undefined) return known ?? undefined;
  const certificate = readCertificate(socket);
  subjects.set(connection, certificate ?? null);
  return certificate;
}

function readCertificate(socket: TLSSocket): Credentials['certificate'] {
  const peer = socket.getPeerCertificate?.();
  if (!peer?.subject) return undefined;
  if (!socket.authorized) throw unauthorized();
  const { CN, O } = peer.subject as unknown as { CN?: string | string[]; O?: string | string[] };
  return {
    commonName: [CN ?? ''].flat()[0] ?? '',
    organizations: [O ?? []].flat(),
    raw: peer.raw,
    issuedAt: Date.parse(peer.valid_from),
  };
}

const HAS_BODY = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/** Reads the whole body. Throws 413. */
export async function readBody(request: IncomingRequest): Promise<Body> {
  if (!HAS_BODY.has(request.method ?? '')) return { type: 'none' };
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > MAX_BODY_BYTES) throw tooLargeBody();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLargeBody();
    chunks.push(chunk);
  }
  if (size === 0) return { type: 'none' };
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  return { type: 'bytes', bytes, contentType: request.headers['content-type'] ?? '' };
}

/** The body of a request that is passed on, unread. */
export function unreadBody(request: IncomingRequest): IncomingRequest | undefined {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  const h2 = (request as any).stream;
  const none = h2?.session ? h2.endAfterHeaders : encoding === undefined && Number(length ?? 0) === 0;
  return none ? undefined : request;
}

const tooLargeBody = (): StatusError => tooLarge(`Request entity too large: limit is ${MAX_BODY_BYTES}`);
