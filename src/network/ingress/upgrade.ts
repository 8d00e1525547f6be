/** Upgraded connections (WebSocket and others): the request to an endpoint, then bytes both ways. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { type Duplex, pipeline } from 'node:stream';
import type { Target } from './backends.js';
import { type ExchangeDeps, Gone, type Outcome, ProxyError, reach } from './exchange.js';
import { endToEnd, type Origin, requestHeaders, responseHeaders } from './headers.js';
import type { UpstreamResponse } from './upstream.js';

const KEEPALIVE_MS = 30_000;

/** A client that asks for an upgrade, and how it is told what came of it. */
export interface Upgrading {
  method: string;
  socket: Duplex;
  /** What it has sent already. */
  head: Buffer;
  /** What the endpoint gets. */
  headers(origin: Origin): Record<string, string | string[]>;
  accept(response: UpstreamResponse, protocol: string | undefined): void;
  /** The endpoint answered with something else: that is the client's answer. */
  refuse(response: UpstreamResponse): void;
}

/** By HTTP/1.1: the connection changes its protocol, or ends with the refusal. */
export const upgradeOf = (req: IncomingMessage, socket: Duplex, head: Buffer): Upgrading => ({
  ...{ method: req.method ?? 'GET', socket, head },
  headers: (origin) => requestHeaders(req.rawHeaders, origin, req.headers.upgrade),
  accept(response, protocol) {
    const upgrade: [string, string][] = protocol ? [['upgrade', protocol]] : [];
    socket.write(statusLine(response, [['connection', 'Upgrade'], ...upgrade]));
  },
  refuse(response) {
    socket.write(statusLine(response, [['connection', 'close']]));
    pipeline(response, socket, () => socket.destroy());
  },
});

/** Whether a CONNECT of HTTP/2 is for a WebSocket. */
export const isWebSocket = (req: Http2ServerRequest): boolean => req.headers[':protocol'] === 'websocket';

/**
 * A WebSocket within HTTP/2, whose endpoint speaks HTTP/1.1: the key, which HTTP/2 does without, is made here.
 * @see https://www.rfc-editor.org/rfc/rfc8441
 */
export function webSocketOf(req: Http2ServerRequest): Upgrading {
  const { stream } = req;
  const respond = (response: UpstreamResponse, status: number | undefined) => {
    const { 'sec-websocket-accept': _, ...headers } = responseHeaders(response.rawHeaders);
    stream.respond({ ...(headers as OutgoingHttpHeaders), ':status': status });
  };
  return {
    ...{ method: 'GET', socket: stream, head: Buffer.alloc(0) },
    headers: (origin) => ({
      ...requestHeaders(req.rawHeaders, origin, 'websocket'),
      'sec-websocket-key': randomBytes(16).toString('base64'),
    }),
    accept: (response) => respond(response, 200),
    refuse(response) {
      respond(response, response.statusCode);
      pipeline(response, stream, () => stream.close());
    },
  };
}

/** Resolves once both sides are joined, or the endpoint has refused. @throws ProxyError */
export async function upgrade(
  deps: ExchangeDeps,
  target: Target,
  client: Upgrading,
  { origin, path }: { origin: Origin; path: string },
  outcome: Outcome,
): Promise<void> {
  if (target.protocol === 'h2c')
    throw new ProxyError(502, 'the endpoints speak HTTP/2, which has no upgrades');
  const { socket } = client;
  const gone = new Gone();
  const leave = () => gone.leave();
  socket.once('close', leave);
  const { answer, done } = await reach(
    deps,
    target,
    { method: client.method, path, headers: client.headers(origin) },
    outcome,
    {
      hasBody: false,
      gone,
      async send({ request, answered }) {
        request.end();
        const timer = setTimeout(
          () => request.destroy(new Error('no answer to the upgrade')),
          deps.timeouts.answer,
        );
        try {
          return await answered;
        } finally {
          clearTimeout(timer);
        }
      },
    },
  );
  socket.once('close', done);
  socket.off('close', leave);
  const { response, upgraded } = answer;
  if (!upgraded) return client.refuse(response);
  client.accept(response, upgraded.protocol);
  join(socket, client.head, upgraded.socket, upgraded.head, deps.timeouts.upgraded);
}

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

function statusLine(response: UpstreamResponse, more: [string, string][]): string {
  const headers = [...endToEnd(response.rawHeaders)].flatMap(([name, values]) =>
    values.map((value): [string, string] => [name, value]),
  );
  const lines = [...headers, ...more].map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${response.statusCode} ${response.statusMessage}\r\n${lines.join('')}\r\n`;
}
