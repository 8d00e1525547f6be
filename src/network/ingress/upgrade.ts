/** Upgraded connections (WebSocket and others): the request to an endpoint, then bytes both ways. */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { type Duplex, pipeline, Readable } from 'node:stream';
import type { Attempt, UpstreamResponse } from './attempt.js';
import type { Target } from './backends.js';
import { type ExchangeDeps, Gone, inTime, type Outcome, reach } from './exchange.js';
import { byName, type Origin, requestHeaders, responseHeaders } from './headers.js';

const KEEPALIVE_MS = 30_000;

/** Of every WebSocket's handshake (RFC 6455, 1.3). */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A client that asks for an upgrade, and how it is told what came of it. */
export interface Upgrading {
  method: string;
  /** The protocol that it asks for. */
  protocol: string;
  socket: Duplex;
  /** What it has sent already. */
  head: Buffer;
  /** What the endpoint gets. */
  headers(origin: Origin): string[];
  accept(response: UpstreamResponse, protocol: string | undefined): void;
  /** The endpoint answered with something else: that is the client's answer. */
  refuse(response: UpstreamResponse): void;
}

/** By HTTP/1.1: the connection changes its protocol, or ends with the refusal. */
export const upgradeOf = (req: IncomingMessage, socket: Duplex, head: Buffer): Upgrading => ({
  ...{ method: req.method ?? 'GET', protocol: req.headers.upgrade ?? '', socket, head },
  headers: (origin) => requestHeaders(req.rawHeaders, origin),
  accept(response, protocol) {
    const key = req.headers['sec-websocket-key'];
    const isTold = response.rawHeaders.some((name) => name.toLowerCase() === 'sec-websocket-accept');
    // An endpoint of HTTP/2 tells nothing of the key, which it did not get.
    const accept = key && !isTold ? ['Sec-WebSocket-Accept', acceptOf(key)] : [];
    const upgrade = protocol ? ['Upgrade', protocol] : [];
    socket.write(statusLine(response, [...accept, 'Connection', 'Upgrade', ...upgrade]));
  },
  refuse(response) {
    socket.write(statusLine(response, ['Connection', 'close']));
    pipeline(bodyOf(response), socket, () => socket.destroy());
  },
});

/** Whether a CONNECT of HTTP/2 is for a WebSocket. */
export const isWebSocket = (req: Http2ServerRequest): boolean => req.headers[':protocol'] === 'websocket';

/**
 * A WebSocket within HTTP/2. Its endpoint may speak HTTP/1.1: the key, which HTTP/2 does without, is made here.
 * @see https://www.rfc-editor.org/rfc/rfc8441
 */
export function webSocketOf(req: Http2ServerRequest): Upgrading {
  const { stream } = req;
  const respond = (response: UpstreamResponse, status: number) => {
    const { 'sec-websocket-accept': _, ...headers } = byName(responseHeaders(response.rawHeaders));
    stream.respond({ ...(headers as OutgoingHttpHeaders), ':status': status });
  };
  return {
    ...{ method: 'GET', protocol: 'websocket', socket: stream, head: Buffer.alloc(0) },
    headers: (origin) => [
      ...requestHeaders(req.rawHeaders, origin),
      ...['Sec-WebSocket-Key', randomBytes(16).toString('base64')],
    ],
    accept: (response) => respond(response, 200),
    refuse(response) {
      respond(response, response.status);
      pipeline(bodyOf(response), stream, () => stream.close());
    },
  };
}

/** Resolves once both sides are joined, or the endpoint has refused. @throws ProxyError */
export async function upgrade(
  { backends, upstreams, timeouts }: ExchangeDeps,
  target: Target,
  client: Upgrading,
  { origin, path }: { origin: Origin; path: string },
  outcome: Outcome,
): Promise<void> {
  const { socket, method } = client;
  const gone = new Gone();
  const leave = () => gone.leave();
  socket.once('close', leave);
  const attempt: Attempt = {
    ...{ method, path, host: origin.host, headers: client.headers(origin) },
    ...{ hasBody: false, upgrade: client.protocol },
  };
  const { answer, done } = await reach(backends, target, attempt, gone, outcome, async (endpoint) => {
    const sent = await upstreams.upgrade(endpoint, target.protocol, attempt);
    gone.whenLeft(() => sent.request.destroy());
    return inTime(sent, timeouts.answer);
  });
  socket.once('close', done);
  socket.off('close', leave);
  const { response, upgraded } = answer;
  if (!upgraded) return client.refuse(response);
  client.accept(response, upgraded.protocol);
  join(socket, client.head, upgraded.socket, upgraded.head, timeouts.upgraded);
}

const acceptOf = (key: string): string => createHash('sha1').update(`${key}${GUID}`).digest('base64');

const bodyOf = ({ body }: UpstreamResponse): Readable =>
  Buffer.isBuffer(body) ? Readable.from([body]) : body;

/** Both directions, until one ends or both are silent too long; a dead peer is found out by keep-alive. */
function join(a: Duplex, aHead: Buffer, b: Duplex, bHead: Buffer, silence: number): void {
  if (bHead.length > 0) a.write(bHead);
  if (aHead.length > 0) b.write(aHead);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const tuned = one as Partial<import('node:net').Socket>;
    // Two pipelines listen on each.
    one.setMaxListeners(20);
    tuned.setNoDelay?.(true);
    tuned.setKeepAlive?.(true, KEEPALIVE_MS);
    tuned.setTimeout?.(silence, () => one.destroy());
    pipeline(one, other, () => {
      one.destroy();
      other.destroy();
    });
  }
}

function statusLine({ status, reason, rawHeaders }: UpstreamResponse, more: string[]): string {
  const headers = [...responseHeaders(rawHeaders), ...more];
  const lines = headers.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`));
  return `HTTP/1.1 ${status} ${reason}\r\n${lines.join('')}\r\n`;
}
